package relayserver

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
	"multi_process_server/services/jt1078_server/internal/hub"
)

var (
	// A key frame of 352x288 with its parameter sets, and a frame that needs it.
	keyUnit = append([]byte{
		0, 0, 0, 1, 0x67, 0x4d, 0x40, 0x0d, 0xec, 0xa0, 0xb0, 0x4b, 0x60, 0x22, 0, 0, 3, 0, 2, 0, 0, 3, 0, 0x64, 0x1e, 0x28, 0x53, 0x2c,
		0, 0, 0, 1, 0x68, 0xeb, 0xe3, 0xcb, 0x20,
		0, 0, 0, 1, 0x65, 0x88, 0x84,
	}, bytes.Repeat([]byte{0x5a}, 3000)...)
	deltaUnit = append([]byte{0, 0, 0, 1, 0x41, 0x9a, 0x24}, bytes.Repeat([]byte{0x5a}, 1500)...)
)

// node is a hub and its relay, as main puts them together.
type node struct {
	hub     *hub.Hub
	server  *Server
	vehicle *hub.Publisher
	metrics *prometheus.Registry
}

func startNode(t *testing.T, address string) *node {
	t.Helper()
	n := &node{metrics: prometheus.NewRegistry()}
	n.hub = &hub.Hub{Config: hub.DefaultConfig(), Log: zerolog.Nop(), Metrics: n.metrics}
	if err := n.hub.Initialize(); err != nil {
		t.Fatal(err)
	}
	n.server = &Server{
		Config: DefaultConfig(), Log: zerolog.Nop(), Metrics: n.metrics,
		Subscribe: func(key jt1078.Key, name string) (Subscriber, error) { return n.hub.Subscribe(key, name) },
	}
	n.server.Config.Address = address
	if err := n.server.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.stop(t) })
	var err error
	if n.vehicle, err = n.hub.Publish(testKey(t), hub.Source{Remote: "vehicle", End: func(error) {}}); err != nil {
		t.Fatal(err)
	}
	return n
}

// stop ends the node in main's order, and fails when frames' buffers are left.
func (n *node) stop(t *testing.T) {
	t.Helper()
	if n.hub == nil {
		return
	}
	n.vehicle.Close(io.EOF)
	n.hub.Close()
	n.server.Close()
	n.hub = nil
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "jt1078_hub_buffer_bytes" && family.Metric[0].GetGauge().GetValue() != 0 {
			t.Errorf("%v bytes of frames were not freed", family.Metric[0].GetGauge().GetValue())
		}
	}
}

// send lets the vehicle send a group of pictures.
func (n *node) send(t *testing.T, from, frames uint64) {
	t.Helper()
	for i := range frames {
		f := &jt1078.Frame{DataType: jt1078.DataP, PayloadType: jt1078.PayloadH264, Timestamp: from + i*40, Data: deltaUnit}
		if i == 0 {
			f.DataType, f.Data = jt1078.DataI, keyUnit
		}
		if err := n.vehicle.WriteFrame(f, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNodeRestartsUnderAViewer(t *testing.T) {
	first := startNode(t, "127.0.0.1:0")
	address := first.server.Addr().String()
	first.send(t, 5_000, 10)
	v := &viewer{}
	defer newClient(t, address).Subscribe(testKey(t), v).Close()
	eventually(t, "the cache", func() bool { return v.count() == 10 })
	first.send(t, 5_400, 10)
	eventually(t, "what came live", func() bool { return v.count() == 20 })
	first.stop(t)

	second := startNode(t, address)
	second.send(t, 90_000, 10)
	eventually(t, "the second node's cache", func() bool { return v.count() == 30 })
	second.send(t, 90_400, 5)
	eventually(t, "what the second node has live", func() bool { return v.count() == 35 })
	if gaps := v.check(t); gaps != 1 {
		t.Errorf("%d gaps, want the restart's", gaps)
	}
	frames, states := v.seen()
	if f := frames[20]; f.Type != media.FrameKey || !bytes.Equal(f.Data, keyUnit) {
		t.Errorf("resumed with type %d", f.Type)
	}
	var stages []relay.Stage
	for _, s := range states {
		stages = append(stages, s.Stage)
	}
	if stages[0] != relay.StagePlaying || !slices.Contains(stages, relay.StageUnreachable) || stages[len(stages)-1] != relay.StagePlaying {
		t.Errorf("stages %v", stages)
	}
}
