package hub

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come; it is only ever spent by a test that fails.
const patience = 10 * time.Second

var liveKey = mustKey("06495940943803")

func mustKey(name string) jt1078.Key {
	id, err := jt1078.ParseStreamID(name)
	if err != nil {
		panic(err)
	}
	return jt1078.Key{Kind: jt1078.KindLive, ID: id}
}

var (
	spsUnit = []byte{0x67, 0x4d, 0x40, 0x0d, 0xec, 0xa0, 0xb0, 0x4b, 0x60, 0x22, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x64, 0x1e, 0x28, 0x53, 0x2c}
	ppsUnit = []byte{0x68, 0xeb, 0xe3, 0xcb, 0x20}
	idrUnit = append([]byte{0x65, 0x88, 0x84}, bytes.Repeat([]byte{0x5a}, 3000)...)
	pUnit   = append([]byte{0x41, 0x9a, 0x24}, bytes.Repeat([]byte{0x5a}, 1500)...)
)

func annexB(nalus ...[]byte) []byte {
	var au []byte
	for _, nalu := range nalus {
		au = append(append(au, 0, 0, 0, 1), nalu...)
	}
	return au
}

var (
	keyData   = annexB(spsUnit, ppsUnit, idrUnit)
	deltaData = annexB(pUnit)
)

func keyFrame(timestamp uint64) *jt1078.Frame {
	return &jt1078.Frame{DataType: jt1078.DataI, PayloadType: jt1078.PayloadH264, Timestamp: timestamp, Data: keyData}
}

func deltaFrame(timestamp uint64) *jt1078.Frame {
	return &jt1078.Frame{DataType: jt1078.DataP, PayloadType: jt1078.PayloadH264, Timestamp: timestamp, Data: deltaData}
}

func audioFrame(timestamp uint64) *jt1078.Frame {
	return &jt1078.Frame{DataType: jt1078.DataAudio, PayloadType: jt1078.PayloadG711A, Timestamp: timestamp, Data: make([]byte, 320)}
}

// testConfig is the default with short times where a test waits for them to pass, and long ones where it does not.
func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Grace = 50 * time.Millisecond
	cfg.StopTimeout = 50 * time.Millisecond
	cfg.RetryAfter = patience
	cfg.TakeOverAfter = 300 * time.Millisecond
	cfg.Start = StartConfig{
		Command: patience, Acknowledge: patience, Connect: patience, ConnectUncommanded: patience,
		FirstPacket: patience, KeyFrame: patience,
	}
	return cfg
}

func newHub(t *testing.T, cfg Config, commander Commander) *Hub {
	t.Helper()
	h := &Hub{Config: cfg, Commander: commander, Log: zerolog.New(zerolog.NewTestWriter(t))}
	if err := h.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		if n := h.pool.inUse.Load(); n != 0 {
			t.Errorf("%d bytes of frame buffers were not freed", n)
		}
	})
	return h
}

// fakeCommander stands for the signalling. What a vehicle does when it is told is up to the test.
type fakeCommander struct {
	onStart func(attempt int) (acknowledged bool, err error)
	onStop  func() error

	mu    sync.Mutex
	calls []string
}

func (c *fakeCommander) StartLive(ctx context.Context, _ jt1078.StreamID, stream Substream) (bool, error) {
	c.mu.Lock()
	c.calls = append(c.calls, "start "+stream.String())
	attempt := 0
	for _, call := range c.calls {
		if call == "start "+stream.String() {
			attempt++
		}
	}
	c.mu.Unlock()
	if c.onStart == nil {
		return true, nil
	}
	acknowledged, err := c.onStart(attempt)
	if errors.Is(err, context.DeadlineExceeded) {
		<-ctx.Done()
	}
	return acknowledged, err
}

func (c *fakeCommander) StopLive(context.Context, jt1078.StreamID, Substream) error {
	c.mu.Lock()
	c.calls = append(c.calls, "stop")
	c.mu.Unlock()
	if c.onStop != nil {
		return c.onStop()
	}
	return nil
}

func (c *fakeCommander) Calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// fakeVehicle is one connection of a vehicle.
type fakeVehicle struct {
	t         *testing.T
	publisher *Publisher
	ended     chan error
	start     time.Time
}

func dial(t *testing.T, h *Hub, key jt1078.Key) (*fakeVehicle, error) {
	v := &fakeVehicle{t: t, ended: make(chan error, 1), start: time.Now()}
	var err error
	v.publisher, err = h.Publish(key, Source{Remote: "test", End: func(reason error) { v.ended <- reason }})
	return v, err
}

func mustDial(t *testing.T, h *Hub, key jt1078.Key) *fakeVehicle {
	t.Helper()
	v, err := dial(t, h, key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *fakeVehicle) send(frames ...*jt1078.Frame) {
	v.t.Helper()
	for _, f := range frames {
		if err := v.publisher.WriteFrame(f, time.Now()); err != nil {
			v.t.Errorf("frame at %d: %v", f.Timestamp, err)
		}
	}
}

func (v *fakeVehicle) hangUp() { v.publisher.Close(io.EOF) }

func mustSubscribe(t *testing.T, h *Hub, key jt1078.Key) *Subscriber {
	t.Helper()
	c, err := h.Subscribe(key, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// next is the subscriber's next event.
func next(t *testing.T, c *Subscriber) (relayv1.Received, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	buffer, err := c.Next(ctx)
	if err != nil {
		return relayv1.Received{}, err
	}
	defer buffer.Free()
	var r relayv1.Received
	if err := r.Unmarshal(bytes.Clone(buffer.ReadOnlyData())); err != nil {
		t.Fatal(err)
	}
	return r, nil
}

// nextFrame skips states.
func nextFrame(t *testing.T, c *Subscriber) *media.Frame {
	t.Helper()
	for {
		r, err := next(t, c)
		if err != nil {
			t.Fatalf("waiting for a frame: %v", err)
		}
		if r.Frame != nil {
			return r.Frame
		}
	}
}

// waitStage skips everything up to a stage.
func waitStage(t *testing.T, c *Subscriber, stage relayv1.Stage) *relayv1.State {
	t.Helper()
	for {
		r, err := next(t, c)
		if err != nil {
			t.Fatalf("waiting for %s: %v", stage, err)
		}
		if r.State != nil && r.State.Stage == stage {
			return r.State
		}
	}
}

// waitError skips everything up to the end.
func waitError(t *testing.T, c *Subscriber) error {
	t.Helper()
	for {
		if _, err := next(t, c); err != nil {
			return err
		}
	}
}

// drain takes what is queued, without waiting.
func drain(t *testing.T, c *Subscriber) (frames []*media.Frame, states []*relayv1.State) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		buffer, err := c.Next(ctx)
		if err != nil {
			return frames, states
		}
		var r relayv1.Received
		if err := r.Unmarshal(bytes.Clone(buffer.ReadOnlyData())); err != nil {
			t.Fatal(err)
		}
		buffer.Free()
		if r.Frame != nil {
			frames = append(frames, r.Frame)
		} else {
			states = append(states, r.State)
		}
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come about: %s", what)
		}
	}
}

func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue()
}

func types(frames []*media.Frame) string {
	s := make([]byte, 0, len(frames))
	for _, f := range frames {
		s = append(s, " KDSAX"[f.Type])
	}
	return string(s)
}
