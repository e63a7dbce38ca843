package relayserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
	relayv1 "multi_process_server/proto/relay/v1"
	"multi_process_server/services/jt1078_server/internal/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// eventually polls until ok, or fails.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// start serves h on address until the test ends, or the returned function is called.
func start(t testing.TB, h *testHub, address string, change func(*Server)) *Server {
	t.Helper()
	s := &Server{Config: DefaultConfig(), Subscribe: h.Subscribe, Log: zerolog.Nop()}
	s.Config.Address = address
	if change != nil {
		change(s)
	}
	if err := s.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// stockClient is a client as anybody generates it.
func stockClient(t testing.TB, s *Server) relayv1.RelayClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return relayv1.NewRelayClient(conn)
}

func newClient(t testing.TB, address string) *relay.Client {
	t.Helper()
	c := &relay.Client{Config: relay.DefaultConfig(), Name: "test", Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()}
	c.Config.Address = address
	if err := c.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func testKey(t testing.TB) jt1078.Key {
	t.Helper()
	id, err := jt1078.ParseStreamID("06495940943803")
	if err != nil {
		t.Fatal(err)
	}
	return jt1078.Key{Kind: jt1078.KindLive, ID: id}
}

// viewer is a relay.Handler that keeps what it gets.
type viewer struct {
	wait chan struct{} // when set, OnFrame waits for it

	mutex  sync.Mutex
	frames []*media.Frame
	states []relay.State
}

func (v *viewer) OnFrame(f *media.Frame) {
	if v.wait != nil {
		<-v.wait
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.frames = append(v.frames, f)
}

func (v *viewer) OnState(s relay.State) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.states = append(v.states, s)
}

func (v *viewer) seen() ([]*media.Frame, []relay.State) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.frames, v.states
}

func (v *viewer) count() int {
	frames, _ := v.seen()
	return len(frames)
}

// check fails when a clock went back, a frame came twice, or video went on after a gap without a key frame. It
// returns how many gaps there were.
func (v *viewer) check(t *testing.T) (gaps int) {
	t.Helper()
	frames, _ := v.seen()
	for i, f := range frames {
		if i == 0 {
			if f.Type != media.FrameKey {
				t.Errorf("began with type %d", f.Type)
			}
			continue
		}
		before := frames[i-1]
		if f.PTS < before.PTS {
			t.Errorf("frame %d: PTS %v after %v", i, f.PTS, before.PTS)
		}
		if f.Sequence != before.Sequence+1 {
			gaps++
			if f.Type != media.FrameKey {
				t.Errorf("frame %d: sequence %d after %d, and no key frame", i, f.Sequence, before.Sequence)
			}
		}
	}
	return gaps
}

func TestManySubscribersOfOneStream(t *testing.T) {
	h := newTestHub(1)
	metrics := prometheus.NewRegistry()
	s := start(t, h, "127.0.0.1:0", func(s *Server) { s.Metrics = metrics })
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
	client := newClient(t, s.Addr().String())
	const viewers, frames = 50, 40
	all := make([]*viewer, viewers)
	subscriptions := make([]*relay.Subscription, viewers)
	for i := range all {
		all[i] = &viewer{}
		subscriptions[i] = client.Subscribe(testKey(t), all[i])
	}
	eventually(t, "all subscribe", func() bool { n, _ := h.count(); return n == viewers })
	if err := client.Ready(); err != nil {
		t.Error(err)
	}
	data := bytes.Repeat([]byte("picture "), 700)
	for range frames {
		h.publish(data)
	}
	for _, v := range all {
		eventually(t, "every frame arrives", func() bool { return v.count() == frames })
		if gaps := v.check(t); gaps != 0 {
			t.Errorf("%d gaps", gaps)
		}
		got, states := v.seen()
		for i, f := range got {
			if !bytes.Equal(f.Data, data) || f.VehicleTimestamp != uint64(i)*40 || f.PayloadType != 98 || time.Since(f.Received) > patience {
				t.Fatalf("frame %d is %+v", i, f)
			}
		}
		if len(states) != 2 || states[0].Stage != relay.StageCommandSent || states[1].Stage != relay.StagePlaying {
			t.Errorf("states %v", states)
		}
	}
	for _, subscription := range subscriptions {
		subscription.Close()
	}
	eventually(t, "all are gone", func() bool { n, _ := h.count(); return n == 0 })
	eventually(t, "all are counted", func() bool {
		return testutil.ToFloat64(s.metrics.ends.WithLabelValues("Canceled")) == viewers
	})
	if n := testutil.ToFloat64(s.metrics.events); n != viewers*(frames+2) {
		t.Errorf("%v events", n)
	}
}

func TestLateSubscriberGetsTheCache(t *testing.T) {
	h := newTestHub(1)
	for range 15 {
		h.publish([]byte("picture"))
	}
	v := &viewer{}
	defer newClient(t, start(t, h, "127.0.0.1:0", nil).Addr().String()).Subscribe(testKey(t), v).Close()
	eventually(t, "the cached frames arrive", func() bool { return v.count() == 5 })
	frames, states := v.seen()
	if frames[0].Sequence != 11 || frames[0].PTS != 400*time.Millisecond {
		t.Errorf("began with %+v after %v", frames[0], states)
	}
}

func TestSlowSubscriberLosesFramesAlone(t *testing.T) {
	h := newTestHub(1)
	client := newClient(t, start(t, h, "127.0.0.1:0", nil).Addr().String())
	slow, fast := &viewer{wait: make(chan struct{})}, &viewer{}
	defer client.Subscribe(testKey(t), slow).Close()
	defer client.Subscribe(testKey(t), fast).Close()
	eventually(t, "both subscribe", func() bool { n, _ := h.count(); return n == 2 })

	data := make([]byte, 16<<10)
	published := 0
	eventually(t, "the slow one's queue overflows", func() bool {
		for range 5 {
			h.publish(data)
			published++
		}
		eventually(t, "the fast one keeps up", func() bool { return fast.count() == published })
		_, dropped := h.count()
		return dropped > 20
	})
	close(slow.wait)
	eventually(t, "the slow one catches up", func() bool {
		h.publish(data)
		published++
		frames, _ := slow.seen()
		return len(frames) > 0 && frames[len(frames)-1].Sequence == uint64(published)
	})
	if gaps := slow.check(t); gaps == 0 {
		t.Error("the slow one lost nothing")
	}
	eventually(t, "the fast one has all", func() bool { return fast.count() == published })
	if gaps := fast.check(t); gaps != 0 {
		t.Errorf("the fast one has %d gaps", gaps)
	}
}

func TestServerRestartsMidStream(t *testing.T) {
	h := newTestHub(1)
	s := start(t, h, "127.0.0.1:0", nil)
	address := s.Addr().String()
	client := newClient(t, address)
	v := &viewer{}
	defer client.Subscribe(testKey(t), v).Close()
	eventually(t, "the subscription", func() bool { n, _ := h.count(); return n == 1 })
	for range 25 {
		h.publish([]byte("before"))
	}
	eventually(t, "frames before the restart", func() bool { return v.count() == 25 })
	s.Close()
	if err := s.Ready(); err == nil {
		t.Error("a closed server is ready")
	}
	eventually(t, "the viewer is told", func() bool {
		_, states := v.seen()
		return states[len(states)-1].Stage == relay.StageUnreachable
	})
	eventually(t, "the client is not ready without a node", func() bool { return client.Ready() != nil })

	h2 := newTestHub(2)
	for range 13 {
		h2.publish([]byte("after"))
	}
	start(t, h2, address, nil)
	again := time.Now()
	eventually(t, "frames after the restart", func() bool { return v.count() > 25 })
	t.Logf("resumed %v after the restart", time.Since(again).Round(time.Millisecond))
	eventually(t, "the cache after the restart", func() bool { return v.count() == 28 })
	v.check(t)
	frames, _ := v.seen()
	if f := frames[25]; f.Sequence != 11 || f.PTS <= frames[24].PTS || f.PTS > frames[24].PTS+patience {
		t.Errorf("resumed with %d at %v after %v", f.Sequence, f.PTS, frames[24].PTS)
	}
	if err := client.Ready(); err != nil {
		t.Error(err)
	}
}

func TestConnectionLostMidStream(t *testing.T) {
	h := newTestHub(1)
	s := start(t, h, "127.0.0.1:0", nil)
	address := s.Addr().String()
	v := &viewer{}
	defer newClient(t, address).Subscribe(testKey(t), v).Close()
	eventually(t, "the subscription", func() bool { n, _ := h.count(); return n == 1 })
	for range 15 {
		h.publish([]byte("before"))
	}
	eventually(t, "frames before the loss", func() bool { return v.count() == 15 })
	s.Close()
	for range 3 {
		h.publish([]byte("meanwhile"))
	}
	start(t, h, address, nil)
	eventually(t, "what came meanwhile", func() bool { return v.count() == 18 })
	h.publish([]byte("after"))
	eventually(t, "what came after", func() bool { return v.count() == 19 })
	if gaps := v.check(t); gaps != 0 {
		t.Errorf("%d gaps, though the cache reaches back", gaps)
	}
}

func TestStartFailure(t *testing.T) {
	h := newTestHub(1)
	h.refuse = &hub.StartError{Key: testKey(t), Stage: relayv1.Stage_STAGE_CONNECTED, RetryAfter: 2500 * time.Millisecond}
	s := start(t, h, "127.0.0.1:0", nil)
	stream, err := stockClient(t, s).Subscribe(t.Context(), &relayv1.SubscribeRequest{StreamId: "06495940943803", Kind: relayv1.Kind_KIND_REPLAY})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	answer := status.Convert(err)
	if answer.Code() != codes.Unavailable || answer.Message() != h.refuse.Error() || len(answer.Details()) != 1 {
		t.Fatalf("answer %v", answer)
	}
	failure, ok := answer.Details()[0].(*relayv1.StartFailure)
	if !ok || failure.Stage != relayv1.Stage_STAGE_CONNECTED || failure.RetryAfterMs != 2500 {
		t.Errorf("detail %v", failure)
	}

	v := &viewer{}
	defer newClient(t, s.Addr().String()).Subscribe(testKey(t), v).Close()
	eventually(t, "the viewer is told", func() bool { _, states := v.seen(); return len(states) > 0 })
	_, states := v.seen()
	if s := states[0]; s.Stage != relay.StageFailed || s.FailedAt != relay.StageConnected || s.RetryAfter != 2500*time.Millisecond || s.Detail == "" {
		t.Errorf("state %+v", s)
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		id     string
		kind   relayv1.Kind
		refuse error
		last   error
		want   codes.Code
	}{
		"id that is not canonical": {id: "6495940943803", kind: relayv1.Kind_KIND_LIVE, want: codes.InvalidArgument},
		"no id":                    {kind: relayv1.Kind_KIND_LIVE, want: codes.InvalidArgument},
		"no kind":                  {id: "06495940943803", want: codes.InvalidArgument},
		"unknown kind":             {id: "06495940943803", kind: 9, want: codes.InvalidArgument},
		"too many streams":         {refuse: hub.ErrTooManyStreams, want: codes.ResourceExhausted},
		"too many subscribers":     {refuse: hub.ErrTooManySubscribers, want: codes.ResourceExhausted},
		"stopping":                 {refuse: hub.ErrStopping, want: codes.Unavailable},
		"stops later":              {last: hub.ErrStopping, want: codes.Unavailable},
		"fails later":              {last: &hub.StartError{Stage: relayv1.Stage_STAGE_PLAYING}, want: codes.Unavailable},
		"anything else":            {last: errors.New("unforeseen"), want: codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTestHub(1)
			h.refuse, h.last = test.refuse, test.last
			if test.refuse != nil || test.last != nil {
				test.id, test.kind = "06495940943803", relayv1.Kind_KIND_LIVE
			}
			stream, err := stockClient(t, start(t, h, "127.0.0.1:0", nil)).Subscribe(t.Context(), &relayv1.SubscribeRequest{StreamId: test.id, Kind: test.kind})
			for err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != test.want {
				t.Errorf("answer %v, want %v", err, test.want)
			}
		})
	}
}

func TestSubscriptionsAreLimited(t *testing.T) {
	h := newTestHub(1)
	client := stockClient(t, start(t, h, "127.0.0.1:0", func(s *Server) { s.Config.MaxSubscriptions = 2 }))
	request := &relayv1.SubscribeRequest{StreamId: "06495940943803", Kind: relayv1.Kind_KIND_LIVE}
	first, leave := context.WithCancel(t.Context())
	for _, ctx := range []context.Context{first, t.Context()} {
		stream, err := client.Subscribe(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	try := func() codes.Code {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := client.Subscribe(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		return status.Code(err)
	}
	if code := try(); code != codes.ResourceExhausted {
		t.Errorf("third subscription: %v", code)
	}
	leave()
	eventually(t, "room for another", func() bool { return try() == codes.OK })
}

func TestStockClientReadsFrames(t *testing.T) {
	h := newTestHub(7)
	stream, err := stockClient(t, start(t, h, "127.0.0.1:0", nil)).Subscribe(t.Context(), &relayv1.SubscribeRequest{StreamId: "06495940943803", Kind: relayv1.Kind_KIND_LIVE})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if event, err := stream.Recv(); err != nil || event.State.GetEpoch() != 7 {
			t.Fatalf("%v, %v", event, err)
		}
	}
	data := bytes.Repeat([]byte{1, 2, 3}, 100_000)
	for i := range uint64(20) {
		h.publish(data)
		event, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if f := event.Frame; f.GetSequence() != i+1 || f.PtsUs != int64(i)*40_000 || !bytes.Equal(f.Data, data) || f.Codec != relayv1.Codec_CODEC_H264 {
			t.Fatalf("frame %d differs", i)
		}
	}
}

func TestCloseCutsOffAConsumerThatDoesNotRead(t *testing.T) {
	h := newTestHub(1)
	s := start(t, h, "127.0.0.1:0", func(s *Server) { s.Config.StopTimeout = 50 * time.Millisecond })
	stream, err := stockClient(t, s).Subscribe(t.Context(), &relayv1.SubscribeRequest{StreamId: "06495940943803", Kind: relayv1.Kind_KIND_LIVE})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription", func() bool { n, _ := h.count(); return n == 1 })
	data := make([]byte, 1<<20)
	eventually(t, "the consumer is stuck", func() bool {
		h.publish(data)
		_, dropped := h.count()
		return dropped > 0
	})
	s.Close()
	if n, _ := h.count(); n != 0 {
		t.Errorf("%d subscribers are left", n)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		t.Error("the consumer was told that the stream had ended well")
	}
}

func TestAddressIsTaken(t *testing.T) {
	s := start(t, newTestHub(1), "127.0.0.1:0", nil)
	second := &Server{Config: DefaultConfig()}
	second.Config.Address = s.Addr().String()
	if err := second.Initialize(); err == nil {
		t.Fatal("two servers on one port")
	}
}

func TestConfigValidate(t *testing.T) {
	good := DefaultConfig()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for key, change := range map[string]func(*Config){
		"address":           func(c *Config) { c.Address = "9511" },
		"max_subscriptions": func(c *Config) { c.MaxSubscriptions = 0 },
		"stop_timeout":      func(c *Config) { c.StopTimeout = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !bytes.Contains([]byte(err.Error()), []byte("relay."+key)) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
