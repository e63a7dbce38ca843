package webtest

import (
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	relayv1 "multi_process_server/proto/relay/v1"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
)

// Relay is a jt1078_server whose every stream plays a clip in a loop, in real time, with a G.711A tone.
type Relay struct {
	relayv1.UnimplementedRelayServer
	Address string

	server *grpc.Server
	served chan struct{}

	mutex       sync.Mutex // guards what follows
	content     Content
	subscribers map[string]int // by kind and id
	total       int
	epoch       uint64
}

// Content is what a relay plays.
type Content struct {
	Clip *Clip
	// Silent: no sound comes.
	Silent bool
	// Paused: nothing comes.
	Paused bool
	// AudioCodec, G.711A when 0.
	AudioCodec media.Codec
	// AAC, when not nil, is the sound, in place of the tone: packets in ADTS, in a loop.
	AAC *AAC
	// Fail ends every subscription with this error.
	Fail error
	// Edit changes a picture on its way.
	Edit func(n int, p Picture) Picture
}

// NewRelay serves on a free port until the test ends.
func NewRelay(t testing.TB, content Content) *Relay {
	t.Helper()
	r := &Relay{content: content, subscribers: make(map[string]int)}
	r.Start(t, FreeAddress(t))
	t.Cleanup(r.Stop)
	return r
}

// Start listens, again after a Stop as a new process would.
func (r *Relay) Start(t testing.TB, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r.Address = address
	r.mutex.Lock()
	r.epoch++
	r.mutex.Unlock()
	r.server = grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	relayv1.RegisterRelayServer(r.server, r)
	served, server := make(chan struct{}), r.server
	r.served = served
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
}

// Stop ends every subscription.
func (r *Relay) Stop() {
	r.server.Stop()
	<-r.served
}

// Set changes what is played from now on.
func (r *Relay) Set(change func(*Content)) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	change(&r.content)
}

// Subscribers is how many subscriptions a stream ("live/06495940943803") has.
func (r *Relay) Subscribers(stream string) int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.subscribers[stream]
}

// Total is how many subscriptions there have been.
func (r *Relay) Total() int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.total
}

func (r *Relay) now() (Content, uint64) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.content, r.epoch
}

func (r *Relay) join(stream string, n int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.subscribers[stream] += n
	r.total += max(0, n)
}

// Subscribe implements relayv1.RelayServer.
func (r *Relay) Subscribe(request *relayv1.SubscribeRequest, out grpc.ServerStreamingServer[relayv1.Event]) error {
	name := map[relayv1.Kind]string{relayv1.Kind_KIND_LIVE: "live/", relayv1.Kind_KIND_REPLAY: "replay/"}[request.GetKind()] + request.GetStreamId()
	r.join(name, 1)
	defer r.join(name, -1)
	content, epoch := r.now()
	if content.Fail != nil {
		return content.Fail
	}
	state := func(stage relayv1.Stage) error {
		return out.Send(&relayv1.Event{State: &relayv1.State{Stage: stage, Epoch: epoch}})
	}
	if err := state(relayv1.Stage_STAGE_COMMAND_SENT); err != nil {
		return err
	}
	s := sender{out: out, began: time.Now()}
	ticker := time.NewTicker(FrameTime)
	defer ticker.Stop()
	var last *Clip
	for n, playing := 0, false; ; n++ {
		content, _ := r.now()
		if content.Clip != last {
			last, n = content.Clip, 0 // at a key frame
		}
		if content.Fail != nil {
			return content.Fail
		}
		if !content.Paused && content.Clip != nil {
			if !playing {
				playing, n = true, 0
				if err := state(relayv1.Stage_STAGE_PLAYING); err != nil {
					return err
				}
			}
			if err := s.tick(&content, n); err != nil {
				return err
			}
		} else {
			playing = false
		}
		select {
		case <-ticker.C:
		case <-out.Context().Done():
			return status.FromContextError(out.Context().Err()).Err()
		}
	}
}

// sender sends one subscription's frames.
type sender struct {
	out      grpc.ServerStreamingServer[relayv1.Event]
	began    time.Time
	sequence uint64
	phase    float64
}

// tick sends the n-th picture and the sound that goes with it.
func (s *sender) tick(content *Content, n int) error {
	picture := content.Clip.Pictures[n%len(content.Clip.Pictures)]
	if content.Edit != nil {
		picture = content.Edit(n, picture)
	}
	frameType := relayv1.FrameType_FRAME_TYPE_DELTA
	if picture.Key {
		frameType = relayv1.FrameType_FRAME_TYPE_KEY
	}
	if err := s.send(&relayv1.Frame{Type: frameType, Codec: relayv1.Codec(content.Clip.Codec), PayloadType: 98, Data: picture.Data}); err != nil {
		return err
	}
	if content.Silent {
		return nil
	}
	if content.AAC != nil {
		for _, packet := range content.AAC.due(n) {
			err := s.send(&relayv1.Frame{
				Type: relayv1.FrameType_FRAME_TYPE_AUDIO, Codec: relayv1.Codec_CODEC_AAC, PayloadType: uint32(jt1078.PayloadAAC), Data: packet,
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	codec := content.AudioCodec
	if codec == 0 {
		codec = media.CodecG711A
	}
	return s.send(&relayv1.Frame{Type: relayv1.FrameType_FRAME_TYPE_AUDIO, Codec: relayv1.Codec(codec), PayloadType: 6, Data: s.tone()})
}

func (s *sender) send(f *relayv1.Frame) error {
	s.sequence++
	f.Sequence = s.sequence
	f.PtsUs = time.Since(s.began).Microseconds()
	f.ReceivedUs = time.Now().UnixMicro()
	return s.out.Send(&relayv1.Event{Frame: f})
}

// tone is 40 ms of 440 Hz in G.711A.
func (s *sender) tone() []byte {
	pcm := make([]int16, 320)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(s.phase))
		s.phase += 2 * math.Pi * 440 / 8000
	}
	return audio.EncodeALaw(nil, pcm)
}

// StartFailure is the error of a start that failed at a stage.
func StartFailure(stage relayv1.Stage, retry time.Duration) error {
	s, err := status.New(codes.Unavailable, "the vehicle did not dial").
		WithDetails(&relayv1.StartFailure{Stage: stage, RetryAfterMs: uint32(retry.Milliseconds())})
	if err != nil {
		return err
	}
	return s.Err()
}
