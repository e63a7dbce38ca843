package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
	"multi_process_server/services/jt1078_server/internal/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come; it is only ever spent by a test that fails.
const patience = 10 * time.Second

var (
	keyData = []byte("\x00\x00\x00\x01\x67\x4d\x40\x0d\xec\xa0\xb0\x4b\x60\x22\x00\x00\x03\x00\x02\x00\x00\x03\x00\x64\x1e\x28\x53\x2c" +
		"\x00\x00\x00\x01\x68\xeb\xe3\xcb\x20\x00\x00\x00\x01\x65\x88\x84" + string(bytes.Repeat([]byte{0x5a}, 3000)))
	deltaData = []byte("\x00\x00\x00\x01\x41\x9a\x24" + string(bytes.Repeat([]byte{0x5a}, 1500)))
)

func keyFrame(timestamp uint64) jt1078.Frame {
	return jt1078.Frame{DataType: jt1078.DataI, PayloadType: jt1078.PayloadH264, Timestamp: timestamp, Data: keyData}
}

func deltaFrame(timestamp uint64) jt1078.Frame {
	return jt1078.Frame{DataType: jt1078.DataP, PayloadType: jt1078.PayloadH264, Timestamp: timestamp, Data: deltaData}
}

func mustKey(t *testing.T, kind jt1078.Kind, name string) jt1078.Key {
	t.Helper()
	id, err := jt1078.ParseStreamID(name)
	if err != nil {
		t.Fatal(err)
	}
	return jt1078.Key{Kind: kind, ID: id}
}

// setup is a server on two free ports with a hub behind it.
func setup(t *testing.T, change func(*Config, *hub.Config)) *Server {
	t.Helper()
	cfg, hubCfg := DefaultConfig(), hub.DefaultConfig()
	cfg.LiveAddress, cfg.ReplayAddress = "127.0.0.1:0", "127.0.0.1:0"
	if change != nil {
		change(&cfg, &hubCfg)
	}
	log := zerolog.New(zerolog.NewTestWriter(t))
	h := &hub.Hub{Config: hubCfg, Log: log}
	if err := h.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	s := &Server{Config: cfg, Hub: h, Log: log, Metrics: prometheus.NewRegistry()}
	if err := s.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// vehicle is a real connection.
type vehicle struct {
	t          *testing.T
	conn       net.Conn
	packetizer *jt1078.Packetizer
}

func dial(t *testing.T, s *Server, key jt1078.Key) *vehicle {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr(key.Kind).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &vehicle{t, conn, jt1078.NewPacketizer(key.ID.SIM, key.ID.Channel, jt1078.PacketizerOptions{})}
}

func (v *vehicle) packets(frames ...jt1078.Frame) []byte {
	var b []byte
	for _, f := range frames {
		b = v.packetizer.AppendFrame(b, f)
	}
	return b
}

func (v *vehicle) write(b []byte) {
	v.t.Helper()
	if _, err := v.conn.Write(b); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vehicle) send(frames ...jt1078.Frame) {
	v.t.Helper()
	v.write(v.packets(frames...))
}

// closed waits until the server has closed the connection.
func (v *vehicle) closed() {
	v.t.Helper()
	if err := v.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		v.t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, v.conn)
	var timeout net.Error
	if n != 0 || errors.As(err, &timeout) && timeout.Timeout() {
		v.t.Fatalf("the server did not close the connection: %d bytes, %v", n, err)
	}
}

// watch subscribes until the test ends.
func watch(t *testing.T, s *Server, key jt1078.Key) *hub.Subscriber {
	t.Helper()
	c, err := s.Hub.Subscribe(key, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func nextFrame(t *testing.T, c *hub.Subscriber) *media.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		buffer, err := c.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for a frame: %v", err)
		}
		var r relayv1.Received
		err = r.Unmarshal(bytes.Clone(buffer.ReadOnlyData()))
		buffer.Free()
		if err != nil {
			t.Fatal(err)
		}
		if r.Frame != nil {
			return r.Frame
		}
	}
}

func wantFrames(t *testing.T, c *hub.Subscriber, want ...jt1078.Frame) {
	t.Helper()
	for _, w := range want {
		if f := nextFrame(t, c); f.VehicleTimestamp != w.Timestamp || !bytes.Equal(f.Data, w.Data) {
			t.Fatalf("got a frame of %d bytes at %d, want %d at %d", len(f.Data), f.VehicleTimestamp, len(w.Data), w.Timestamp)
		}
	}
}

func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue() + out.GetGauge().GetValue()
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come about: %s", what)
		}
	}
}

// wantEnded waits until a connection has ended for that reason.
func wantEnded(t *testing.T, s *Server, reason string) {
	t.Helper()
	eventually(t, reason, func() bool { return value(t, s.metrics.ended.WithLabelValues(reason)) == 1 })
}
