package relay

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// eventually polls until ok, or fails.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// script is a stock gRPC server whose Subscribe does what the test says.
type script struct {
	relayv1.UnimplementedRelayServer
	subscribe func(call int, request *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error

	mutex sync.Mutex
	calls []time.Time
}

func (s *script) Subscribe(request *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
	s.mutex.Lock()
	s.calls = append(s.calls, time.Now())
	call := len(s.calls)
	s.mutex.Unlock()
	return s.subscribe(call, request, stream)
}

func (s *script) times() []time.Time {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.calls
}

// serve runs s on address until the test ends or stop is called.
func serve(t *testing.T, address string, s *script, options ...grpc.ServerOption) (at string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(options, grpc.WaitForHandlers(true))...)
	relayv1.RegisterRelayServer(server, s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	stop = sync.OnceFunc(func() { server.Stop(); <-served })
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

func newClient(t *testing.T, address string, change func(*Client)) *Client {
	t.Helper()
	c := &Client{Config: DefaultConfig(), Name: "test", Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()}
	c.Config.Address = address
	if change != nil {
		change(c)
	}
	if err := c.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func testKey(t *testing.T) jt1078.Key {
	t.Helper()
	id, err := jt1078.ParseStreamID("06495940943803")
	if err != nil {
		t.Fatal(err)
	}
	return jt1078.Key{Kind: jt1078.KindReplay, ID: id}
}

// recorder keeps what it gets.
type recorder struct {
	mutex  sync.Mutex
	frames []*media.Frame
	states []State
}

func (r *recorder) OnFrame(f *media.Frame) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.frames = append(r.frames, f)
}

func (r *recorder) OnState(s State) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.states = append(r.states, s)
}

func (r *recorder) seen() ([]*media.Frame, []State) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.frames, r.states
}

func stateEvent(stage relayv1.Stage, cached uint32) *relayv1.Event {
	return &relayv1.Event{State: &relayv1.State{Stage: stage, CachedFrames: cached, Epoch: 1}}
}

func frameEvent(sequence uint64, typ media.FrameType) *relayv1.Event {
	return &relayv1.Event{Frame: &relayv1.Frame{
		Sequence: sequence, Type: relayv1.FrameType(typ), Codec: relayv1.Codec_CODEC_H264, PayloadType: 98,
		PtsUs: int64(sequence) * 40_000, ReceivedUs: time.Now().UnixMicro(), Data: []byte{0, 0, 0, 1, 0x65},
	}}
}

func send(stream grpc.ServerStreamingServer[relayv1.Event], events ...*relayv1.Event) {
	for _, event := range events {
		_ = stream.Send(event) // the client may be gone
	}
}

func TestSubscribeFromAStockServer(t *testing.T) {
	requests := make(chan *relayv1.SubscribeRequest, 1)
	address, _ := serve(t, "127.0.0.1:0", &script{subscribe: func(_ int, request *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
		requests <- request
		send(stream, stateEvent(relayv1.Stage_STAGE_CONNECTED, 0), stateEvent(relayv1.Stage_STAGE_PLAYING, 2), frameEvent(7, media.FrameKey), frameEvent(8, media.FrameDelta))
		<-stream.Context().Done()
		return stream.Context().Err()
	}})
	c := newClient(t, address, nil)
	var r recorder
	subscription := c.Subscribe(testKey(t), &r)
	eventually(t, "frames", func() bool { frames, _ := r.seen(); return len(frames) == 2 })
	if q := <-requests; q.StreamId != "06495940943803" || q.Kind != relayv1.Kind_KIND_REPLAY || q.Subscriber != "test" {
		t.Errorf("request %v", q)
	}
	frames, states := r.seen()
	if f := frames[1]; f.Sequence != 8 || f.Type != media.FrameDelta || f.Codec != media.CodecH264 || f.PayloadType != 98 || f.PTS != 320*time.Millisecond || len(f.Data) != 5 {
		t.Errorf("frame %+v", f)
	}
	if len(states) != 2 || states[0] != (State{Stage: StageConnected}) || states[1] != (State{Stage: StagePlaying}) {
		t.Errorf("states %+v", states)
	}
	if n := testutil.ToFloat64(c.metrics.subscriptions); n != 1 {
		t.Errorf("%v subscriptions counted", n)
	}
	subscription.Close()
	subscription.Close()
	if n := testutil.ToFloat64(c.metrics.subscriptions); n != 0 {
		t.Errorf("%v subscriptions counted", n)
	}
	if n := testutil.ToFloat64(c.metrics.frames[handOver]); n != 2 {
		t.Errorf("%v frames counted", n)
	}
}

func TestReconnectLeavesOutRepeatedFrames(t *testing.T) {
	address, _ := serve(t, "127.0.0.1:0", &script{subscribe: func(call int, _ *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
		switch call {
		case 1:
			send(stream, stateEvent(relayv1.Stage_STAGE_PLAYING, 0), frameEvent(1, media.FrameKey), frameEvent(2, media.FrameDelta))
			return status.Error(codes.Unavailable, "stopping")
		case 2: // nothing new in the cache
			send(stream, stateEvent(relayv1.Stage_STAGE_PLAYING, 2), frameEvent(1, media.FrameKey), frameEvent(2, media.FrameDelta))
			return status.Error(codes.Unavailable, "stopping")
		}
		send(stream, stateEvent(relayv1.Stage_STAGE_PLAYING, 4), frameEvent(1, media.FrameKey), frameEvent(2, media.FrameDelta), frameEvent(3, media.FrameDelta), frameEvent(4, media.FrameDelta))
		<-stream.Context().Done()
		return nil
	}})
	c := newClient(t, address, nil)
	var r recorder
	defer c.Subscribe(testKey(t), &r).Close()
	eventually(t, "all frames", func() bool { frames, _ := r.seen(); return len(frames) == 4 })
	frames, states := r.seen()
	for i, f := range frames {
		if f.Sequence != uint64(i+1) {
			t.Errorf("frame %d has sequence %d", i, f.Sequence)
		}
	}
	played := 0
	for _, s := range states {
		switch s.Stage {
		case StagePlaying:
			played++
		case StageUnreachable:
			if s.Detail != "stopping" {
				t.Errorf("detail %q", s.Detail)
			}
		default:
			t.Errorf("state %+v", s)
		}
	}
	if played != 3 {
		t.Errorf("playing %d times, want 3", played)
	}
	if n := testutil.ToFloat64(c.metrics.frames[repeated]); n != 4 {
		t.Errorf("%v repeated frames counted, want 4", n)
	}
}

func TestStartFailureIsNotTriedAgainEarly(t *testing.T) {
	const retryAfter = 300 * time.Millisecond
	s := &script{subscribe: func(int, *relayv1.SubscribeRequest, grpc.ServerStreamingServer[relayv1.Event]) error {
		answer, err := status.New(codes.Unavailable, "the vehicle did not dial").WithDetails(&relayv1.StartFailure{
			Stage: relayv1.Stage_STAGE_CONNECTED, RetryAfterMs: uint32(retryAfter.Milliseconds()),
		})
		if err != nil {
			return err
		}
		return answer.Err()
	}}
	address, _ := serve(t, "127.0.0.1:0", s)
	var r recorder
	defer newClient(t, address, nil).Subscribe(testKey(t), &r).Close()
	eventually(t, "three tries", func() bool { return len(s.times()) >= 3 })
	for i, at := range s.times()[1:] {
		if pause := at.Sub(s.times()[i]); pause < retryAfter {
			t.Errorf("tried again after %v", pause)
		}
	}
	_, states := r.seen()
	want := State{Stage: StageFailed, FailedAt: StageConnected, Detail: "the vehicle did not dial", RetryAfter: retryAfter}
	for _, got := range states {
		if got != want {
			t.Errorf("state %+v", got)
		}
	}
}

func TestRefusal(t *testing.T) {
	address, _ := serve(t, "127.0.0.1:0", &script{subscribe: func(int, *relayv1.SubscribeRequest, grpc.ServerStreamingServer[relayv1.Event]) error {
		return status.Error(codes.ResourceExhausted, "too many")
	}})
	c := newClient(t, address, nil)
	var r recorder
	defer c.Subscribe(testKey(t), &r).Close()
	eventually(t, "the handler is told", func() bool { _, states := r.seen(); return len(states) > 0 })
	_, states := r.seen()
	if states[0] != (State{Stage: StageFailed, Detail: "too many", RetryAfter: refusedPause}) {
		t.Errorf("state %+v", states[0])
	}
	if n := testutil.ToFloat64(c.metrics.ends.WithLabelValues("refused")); n != 1 {
		t.Errorf("%v counted", n)
	}
}

func TestFrameAboveTheLimit(t *testing.T) {
	address, _ := serve(t, "127.0.0.1:0", &script{subscribe: func(_ int, _ *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
		event := frameEvent(1, media.FrameKey)
		event.Frame.Data = make([]byte, 100<<10)
		send(stream, event)
		<-stream.Context().Done()
		return nil
	}})
	var r recorder
	defer newClient(t, address, func(c *Client) { c.Config.MaxFrameBytes = 64 << 10 }).Subscribe(testKey(t), &r).Close()
	eventually(t, "the handler is told", func() bool { _, states := r.seen(); return len(states) > 0 })
	if frames, states := r.seen(); len(frames) != 0 || states[0].Stage != StageFailed {
		t.Errorf("%d frames, states %+v", len(frames), states)
	}
}

func TestNodeComesUpLater(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a port that nobody listens on, after this
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c := newClient(t, address, nil)
	if err := c.Ready(); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("ready: %v", err)
	}
	recorders := make([]recorder, 5)
	for i := range recorders {
		defer c.Subscribe(testKey(t), &recorders[i]).Close()
	}
	for i := range recorders {
		eventually(t, "the handler is told", func() bool { _, states := recorders[i].seen(); return len(states) > 0 })
	}
	time.Sleep(1500 * time.Millisecond) // let the pauses grow
	serve(t, address, &script{subscribe: func(_ int, _ *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
		send(stream, stateEvent(relayv1.Stage_STAGE_PLAYING, 0), frameEvent(1, media.FrameKey))
		<-stream.Context().Done()
		return nil
	}})
	up := time.Now()
	for i := range recorders {
		eventually(t, "a frame", func() bool { frames, _ := recorders[i].seen(); return len(frames) == 1 })
		if _, states := recorders[i].seen(); len(states) != 2 || states[0].Stage != StageUnreachable || states[1].Stage != StagePlaying {
			t.Errorf("states %+v", states)
		}
	}
	t.Logf("found after %v", time.Since(up).Round(time.Millisecond))
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
}

func TestNodeIsSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections, and nobody speaks on them
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := newClient(t, listener.Addr().String(), nil)
	var r recorder
	defer c.Subscribe(testKey(t), &r).Close()
	eventually(t, "the handler is told", func() bool { _, states := r.seen(); return len(states) > 0 })
	if _, states := r.seen(); states[0].Stage != StageUnreachable || states[0].Detail == "" {
		t.Errorf("states %+v", states)
	}
	if err := c.Ready(); err == nil {
		t.Error("ready without an answer")
	}
}

// A node that takes connections and says nothing: the viewer is told what is wrong, not how we gave up.
func TestBlackHole(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var r recorder
	defer newClient(t, listener.Addr().String(), nil).Subscribe(testKey(t), &r).Close()
	eventually(t, "a state", func() bool { _, states := r.seen(); return len(states) == 1 })
	if _, states := r.seen(); states[0] != (State{Stage: StageUnreachable, Detail: "no connection within 1s"}) {
		t.Errorf("states %+v", states)
	}
}

func TestNodeSendsGarbage(t *testing.T) {
	address, _ := serve(t, "127.0.0.1:0", &script{subscribe: func(call int, _ *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
		if call < 3 {
			_ = stream.SendMsg(mem.SliceBuffer("\x0a\xff\xff\xff")) // a frame whose length lies
			<-stream.Context().Done()
			return nil
		}
		send(stream, stateEvent(relayv1.Stage_STAGE_PLAYING, 0), &relayv1.Event{}, frameEvent(1, media.FrameKey))
		<-stream.Context().Done()
		return nil
	}}, grpc.ForceServerCodecV2(relayv1.GRPCCodec{}))
	var r recorder
	defer newClient(t, address, nil).Subscribe(testKey(t), &r).Close()
	eventually(t, "a frame after the garbage", func() bool { frames, _ := r.seen(); return len(frames) == 1 })
}

// resolver answers with an address that the test can change.
type resolver struct {
	mutex   sync.Mutex
	address string
}

func (r *resolver) set(address string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.address = address
}

func (r *resolver) Resolve(context.Context, jt1078.Key) (string, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.address == "" {
		return "", errors.New("no node has the stream")
	}
	return r.address, nil
}

func TestResolver(t *testing.T) {
	play := func(epoch uint64) *script {
		return &script{subscribe: func(_ int, _ *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
			state := stateEvent(relayv1.Stage_STAGE_PLAYING, 0)
			state.State.Epoch = epoch
			send(stream, state, frameEvent(1, media.FrameKey), frameEvent(2, media.FrameDelta))
			<-stream.Context().Done()
			return nil
		}}
	}
	var nodes resolver
	c := newClient(t, "", func(c *Client) { c.Config = DefaultConfig(); c.Resolver = &nodes })
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	var r recorder
	subscription := c.Subscribe(testKey(t), &r)
	eventually(t, "no node", func() bool { _, states := r.seen(); return len(states) == 1 })
	first, stop := serve(t, "127.0.0.1:0", play(1))
	nodes.set(first)
	eventually(t, "frames from the first node", func() bool { frames, _ := r.seen(); return len(frames) == 2 })
	second, stopSecond := serve(t, "127.0.0.1:0", play(2))
	nodes.set(second)
	stop()
	eventually(t, "frames from the second node", func() bool { frames, _ := r.seen(); return len(frames) == 4 })
	frames, states := r.seen()
	if frames[2].PTS <= frames[1].PTS {
		t.Errorf("PTS %v after %v", frames[2].PTS, frames[1].PTS)
	}
	if states[0].Stage != StageUnreachable || states[0].Detail != "no node has the stream" {
		t.Errorf("states %+v", states)
	}
	nodes.set("") // the registry is away
	stopSecond()
	serve(t, second, play(3))
	eventually(t, "frames from the same node", func() bool { frames, _ := r.seen(); return len(frames) == 6 })
	subscription.Close()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.nodes) != 0 {
		t.Errorf("%d connections are left", len(c.nodes))
	}
}

// slowHandler says when a call has begun and waits before it returns.
type slowHandler struct {
	begun, wait chan struct{}
	returned    bool
}

func (h *slowHandler) OnState(State) {}
func (h *slowHandler) OnFrame(*media.Frame) {
	close(h.begun)
	<-h.wait
	h.returned = true // read after Close: the race detector would tell
}

func TestCloseWaitsForTheHandler(t *testing.T) {
	address, _ := serve(t, "127.0.0.1:0", &script{subscribe: func(_ int, _ *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
		send(stream, stateEvent(relayv1.Stage_STAGE_PLAYING, 0), frameEvent(1, media.FrameKey))
		<-stream.Context().Done()
		return nil
	}})
	c := newClient(t, address, nil)
	h := &slowHandler{begun: make(chan struct{}), wait: make(chan struct{})}
	subscription := c.Subscribe(testKey(t), h)
	<-h.begun
	time.AfterFunc(20*time.Millisecond, func() { close(h.wait) })
	subscription.Close()
	if !h.returned {
		t.Error("Close returned before the handler")
	}

	c.Close()
	if err := c.Ready(); err == nil {
		t.Error("a closed client is ready")
	}
	var r recorder
	c.Subscribe(testKey(t), &r).Close()
	if frames, states := r.seen(); len(frames)+len(states) != 0 {
		t.Error("a closed client took a stream")
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	newClient(t, "127.0.0.1:1", func(c *Client) { c.Metrics = registry })
	second := &Client{Config: DefaultConfig(), Metrics: registry}
	if err := second.Initialize(); err == nil {
		second.Close()
		t.Error("two clients count in one place")
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestConfigValidate(t *testing.T) {
	good := DefaultConfig()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for key, change := range map[string]func(*Config){
		"address":             func(c *Config) { c.Address = "somewhere" },
		"max_frame_bytes":     func(c *Config) { c.MaxFrameBytes = 1000 },
		"stream_window_bytes": func(c *Config) { c.StreamWindowBytes = 1 << 30 },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "relay."+key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestStagesHaveNames(t *testing.T) {
	for number := range relayv1.Stage_name {
		if s := Stage(number); number != 0 && strings.HasPrefix(s.String(), "stage ") {
			t.Errorf("stage %d has no name", number)
		}
	}
	if s := Stage(77).String(); s != "stage 77" {
		t.Error(s)
	}
}
