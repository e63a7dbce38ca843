package relayserver

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/mem"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
)

// testHub stands in for the hub: one stream, which is published by hand.
type testHub struct {
	epoch uint64
	queue int // frames that may wait for a subscriber

	mutex       sync.Mutex
	sequence    uint64
	group       []mem.Buffer // since the last key frame
	subscribers map[*testSubscriber]struct{}
	refuse      error // what Subscribe returns
	last        error // what Next returns when there are no more events
	dropped     int
}

type testSubscriber struct {
	hub    *testHub
	key    jt1078.Key
	name   string
	events chan mem.Buffer
	drop   bool // until the next key frame
	ended  chan struct{}
}

func newTestHub(epoch uint64) *testHub {
	return &testHub{epoch: epoch, queue: 64, subscribers: make(map[*testSubscriber]struct{})}
}

func (h *testHub) Subscribe(key jt1078.Key, name string) (Subscriber, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.refuse != nil {
		return nil, h.refuse
	}
	s := &testSubscriber{hub: h, key: key, name: name, events: make(chan mem.Buffer, h.queue+len(h.group)+2), ended: make(chan struct{})}
	s.events <- stateBuffer(&relayv1.State{Stage: relayv1.Stage_STAGE_COMMAND_SENT, Epoch: h.epoch})
	s.events <- stateBuffer(&relayv1.State{Stage: relayv1.Stage_STAGE_PLAYING, CachedFrames: uint32(len(h.group)), Epoch: h.epoch})
	for _, b := range h.group {
		b.Ref()
		s.events <- b
	}
	if h.last != nil {
		close(s.ended)
	}
	h.subscribers[s] = struct{}{}
	return s, nil
}

func stateBuffer(s *relayv1.State) mem.Buffer {
	return mem.SliceBuffer(relayv1.AppendStateEvent(nil, s))
}

// publish sends a frame to all; every tenth is a key frame. It never waits.
func (h *testHub) publish(data []byte) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	f := &media.Frame{
		Sequence: h.sequence + 1, Type: media.FrameDelta, Codec: media.CodecH264, PayloadType: 98,
		PTS: time.Duration(h.sequence) * 40 * time.Millisecond, Received: time.Now(), VehicleTimestamp: h.sequence * 40, Data: data,
	}
	if h.sequence%10 == 0 {
		f.Type = media.FrameKey
		for _, b := range h.group {
			b.Free()
		}
		h.group = h.group[:0]
	}
	h.sequence++
	pool := mem.DefaultBufferPool()
	bytes := pool.Get(relayv1.FrameEventSize(f))
	relayv1.AppendFrameEvent((*bytes)[:0], f)
	buffer := mem.NewBuffer(bytes, pool)
	h.group = append(h.group, buffer)
	for s := range h.subscribers {
		if s.drop && f.Type != media.FrameKey {
			h.dropped++
			continue
		}
		buffer.Ref()
		select {
		case s.events <- buffer:
			s.drop = false
		default:
			buffer.Free()
			s.drop = true
			h.dropped++
		}
	}
}

func (h *testHub) count() (subscribers, dropped int) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return len(h.subscribers), h.dropped
}

func (s *testSubscriber) Next(ctx context.Context) (mem.Buffer, error) {
	select {
	case event := <-s.events:
		return event, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.ended:
		return nil, s.hub.last
	}
}

func (s *testSubscriber) Close() {
	s.hub.mutex.Lock()
	defer s.hub.mutex.Unlock()
	delete(s.hub.subscribers, s)
}
