package rtsp

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
)

// fakeRelay stands for jt1078_server: a relay whose every stream plays a clip, in step with the clock, for whoever
// subscribes.
type fakeRelay struct {
	relayv1.UnimplementedRelayServer
	address string
	epoch   uint64

	mutex  sync.Mutex // guards what follows, which tests set
	clip   *clip
	sound  media.Codec // CodecUnknown: none
	aac    [][]byte    // with sound CodecAAC: units with ADTS headers, played in a loop
	refuse error       // what Subscribe answers and ends with
	away   bool        // the vehicle's connection has ended
	mute   bool        // no frames
	noKeys bool        // pictures, but no key frames

	subscribes atomic.Int64
	active     atomic.Int64

	began  time.Time
	server *grpc.Server
	done   chan struct{}
}

func startRelay(t *testing.T, c *clip, address string) *fakeRelay {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &fakeRelay{
		address: l.Addr().String(), epoch: uint64(time.Now().UnixNano()), clip: c, sound: media.CodecG711A,
		began:  time.Now(),
		server: grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true})),
		done:   make(chan struct{}),
	}
	relayv1.RegisterRelayServer(r.server, r)
	go func() {
		defer close(r.done)
		r.server.Serve(l) //nolint:errcheck // ends by stop
	}()
	t.Cleanup(r.stop)
	return r
}

func (r *fakeRelay) stop() {
	r.server.Stop()
	<-r.done
}

func (r *fakeRelay) set(change func()) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	change()
}

// Subscribe implements relayv1.RelayServer.
func (r *fakeRelay) Subscribe(_ *relayv1.SubscribeRequest, out grpc.ServerStreamingServer[relayv1.Event]) error {
	r.subscribes.Add(1)
	r.active.Add(1)
	defer r.active.Add(-1)
	r.mutex.Lock()
	refuse, mute := r.refuse, r.mute
	r.mutex.Unlock()
	if refuse != nil {
		return refuse
	}
	state := func(s *relayv1.State) { s.Epoch = r.epoch; out.Send(&relayv1.Event{State: s}) } //nolint:errcheck // the next Send tells
	state(&relayv1.State{Stage: relayv1.Stage_STAGE_COMMAND_SENT})
	if mute {
		<-out.Context().Done()
		return status.FromContextError(out.Context().Err()).Err()
	}

	// Picture n of the stream is due at n × 40 ms; sound n precedes it. The cache begins at the last key frame.
	now := int(time.Since(r.began) / frameTime)
	first := now
	for first > 0 && !r.picture(first).key {
		first--
	}
	state(&relayv1.State{Stage: relayv1.Stage_STAGE_PLAYING, CachedFrames: uint32(2 * (now - first))})
	interrupted := false
	for n := first; ; n++ {
		select {
		case <-time.After(time.Until(r.began.Add(time.Duration(n) * frameTime))):
		case <-out.Context().Done():
			return status.FromContextError(out.Context().Err()).Err()
		}
		r.mutex.Lock()
		refuse, away := r.refuse, r.away
		r.mutex.Unlock()
		if refuse != nil {
			return refuse
		}
		if away != interrupted {
			interrupted = away
			if away {
				state(&relayv1.State{Stage: relayv1.Stage_STAGE_INTERRUPTED})
			} else {
				state(&relayv1.State{Stage: relayv1.Stage_STAGE_PLAYING})
			}
		}
		if away {
			continue
		}
		for _, frame := range r.frames(n) {
			if err := out.Send(&relayv1.Event{Frame: frame}); err != nil {
				return err
			}
		}
	}
}

func (r *fakeRelay) picture(n int) picture {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.clip.pictures[n%len(r.clip.pictures)]
}

func (r *fakeRelay) frames(n int) []*relayv1.Frame {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	loop := time.Duration(n/len(r.clip.pictures)) * r.clip.duration()
	p := r.clip.pictures[n%len(r.clip.pictures)]
	received := r.began.Add(time.Duration(n) * frameTime).UnixMicro()
	var frames []*relayv1.Frame
	sequence := uint64(2*n + 1) // without a gap, which would mean a loss
	if r.sound == media.CodecUnknown {
		sequence = uint64(n) // of the picture, less one
	}
	frameType := relayv1.FrameType_FRAME_TYPE_DELTA
	if p.key {
		frameType = relayv1.FrameType_FRAME_TYPE_KEY
	}
	if r.sound != media.CodecUnknown {
		pts, payloadType, data := time.Duration(n)*frameTime, uint32(6), tone(n)
		if r.sound == media.CodecAAC {
			payloadType, data = 19, nil
			begin := (pts + aacUnitTime - 1) / aacUnitTime
			for k := begin; k*aacUnitTime < pts+frameTime; k++ {
				data = append(data, r.aac[int(k)%len(r.aac)]...)
			}
			pts = begin * aacUnitTime
		}
		frames = append(frames, &relayv1.Frame{
			Sequence: sequence, Type: relayv1.FrameType_FRAME_TYPE_AUDIO, Codec: relayv1.Codec(r.sound), PayloadType: payloadType,
			PtsUs: pts.Microseconds(), ReceivedUs: received, Data: data,
		})
	}
	if !p.key || !r.noKeys {
		frames = append(frames, &relayv1.Frame{
			Sequence: sequence + 1, Type: frameType, Codec: relayv1.Codec(r.clip.codec), PayloadType: 98,
			PtsUs: (loop + p.pts).Microseconds(), ReceivedUs: received, Data: p.data,
		})
	}
	return frames
}

// startFailed is how jt1078_server ends a subscription whose vehicle does not come.
func startFailed(t *testing.T) error {
	t.Helper()
	s, err := status.New(codes.Unavailable, "no vehicle").WithDetails(&relayv1.StartFailure{Stage: relayv1.Stage_STAGE_CONNECTED, RetryAfterMs: 500})
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}

// refused is how it ends one that it does not want.
var refused = status.Error(codes.ResourceExhausted, "too many streams")
