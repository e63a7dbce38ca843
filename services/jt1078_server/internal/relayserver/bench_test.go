package relayserver

import (
	"fmt"
	"testing"

	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
)

// arrival is a relay.Handler that says when a frame has come.
type arrival chan struct{}

func (a arrival) OnFrame(*media.Frame) { a <- struct{}{} }
func (a arrival) OnState(relay.State)  {}

// BenchmarkRelayFanout sends frames of a usual size (1.14 Mbit/s at 25 a second) to subscribers over loopback, both
// ends in this process, one frame under way at a time. One operation is one frame, from its encoding to the last
// handler: its allocations are the server's and all its subscribers' together.
func BenchmarkRelayFanout(b *testing.B) {
	data := make([]byte, 5700)
	for _, subscribers := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			h := newTestHub(1)
			client := newClient(b, start(b, h, "127.0.0.1:0", nil).Addr().String())
			arrived := make(arrival, subscribers)
			for range subscribers {
				defer client.Subscribe(testKey(b), arrived).Close()
			}
			publish := func() {
				h.publish(data)
				for range subscribers {
					<-arrived
				}
			}
			eventually(b, "all subscribe", func() bool { n, _ := h.count(); return n == subscribers })
			publish()
			b.SetBytes(int64(subscribers * len(data)))
			b.ReportAllocs()
			for b.Loop() {
				publish()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*subscribers), "ns/delivery")
		})
	}
}
