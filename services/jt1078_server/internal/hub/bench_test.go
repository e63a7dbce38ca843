package hub

import (
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
)

// BenchmarkWriteFrame is a frame's way from a vehicle's connection to the subscribers' queues: 25 frames a second, a key
// frame of 40 kB every 2 s, deltas of 5 kB. Each subscriber takes it out again.
func BenchmarkWriteFrame(b *testing.B) {
	for _, subscribers := range []int{0, 1, 2, 10} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			h := &Hub{Config: DefaultConfig(), Log: zerolog.Nop()}
			if err := h.Initialize(); err != nil {
				b.Fatal(err)
			}
			defer h.Close()
			p, err := h.Publish(liveKey, Source{End: func(error) {}})
			if err != nil {
				b.Fatal(err)
			}
			key := keyFrame(0)
			key.Data = append(key.Data[:len(key.Data):len(key.Data)], make([]byte, 37_000)...)
			delta := deltaFrame(0)
			delta.Data = append(delta.Data[:len(delta.Data):len(delta.Data)], make([]byte, 3_500)...)
			if err := p.WriteFrame(key, time.Now()); err != nil {
				b.Fatal(err)
			}
			all := make([]*Subscriber, subscribers)
			for i := range all {
				if all[i], err = h.Subscribe(liveKey, "bench"); err != nil {
					b.Fatal(err)
				}
				defer all[i].Close()
				for range 2 { // the state, the cached key frame
					take(b, all[i])
				}
			}
			received, timestamp := time.Now(), uint64(0)
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				f := delta
				if i%50 == 0 {
					f = key
				}
				timestamp += 40
				received = received.Add(40 * time.Millisecond)
				write(b, p, f, timestamp, received)
				for _, c := range all {
					take(b, c)
				}
			}
		})
	}
}

func take(b *testing.B, c *Subscriber) {
	buffer, err := c.Next(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	buffer.Free()
}

func write(b *testing.B, p *Publisher, f *jt1078.Frame, timestamp uint64, received time.Time) {
	f.Timestamp = timestamp
	if err := p.WriteFrame(f, received); err != nil {
		b.Fatal(err)
	}
}
