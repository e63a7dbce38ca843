package hub

import (
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
)

// Source is a vehicle's connection as the hub knows it.
type Source struct {
	// Remote address, for the log.
	Remote string
	// End is called when the hub ends the publisher: from any goroutine, at most once, and not after Publisher.Close.
	// It must neither block nor call the hub.
	End func(reason error)
}

// Publisher is the one connection that sends a stream. WriteFrame is for one goroutine; Close for any.
type Publisher struct {
	stream *stream
	source Source

	// Guarded by stream.mu.
	since     time.Time
	lastFrame time.Time
	video     bool  // a video frame has come
	logged    bool  // of its malformed frames, the first
	ended     error // why it is not the stream's publisher any more
	nalus     [][]byte
	scratch   []byte
}

// publish is called with the stream's lock held and gives it back.
func (s *stream) publish(source Source) (*Publisher, error) {
	now := time.Now()
	old := s.publisher
	if reason, err := s.refuse(now); err != nil {
		s.mu.Unlock()
		s.hub.metrics.refused.WithLabelValues(reason).Inc()
		return nil, err
	}
	if old != nil {
		s.detach(old, ErrTakenOver)
		s.hub.metrics.takeOvers.Inc()
		s.log.Info().Str("remote", source.Remote).Str("old_remote", old.source.Remote).Msg("a new connection takes the stream over")
	}
	p := &Publisher{stream: s, source: source, since: now, lastFrame: now}
	s.publisher = p
	s.needKey = true
	s.sets = media.ParameterSets{}
	s.setStage(relayv1.Stage_STAGE_CONNECTED, "")
	s.hub.metrics.publishers.Inc()
	s.log.Info().Str("remote", source.Remote).Int("subscribers", len(s.subscribers)).Msg("the vehicle sends")
	s.mu.Unlock()
	if old != nil {
		old.source.End(ErrTakenOver)
	}
	return p, nil
}

// refuse says whether a new connection may not send the stream, with a reason for the metric.
func (s *stream) refuse(now time.Time) (reason string, err error) {
	switch {
	case s.hub.ctx.Err() != nil:
		return "stopping", ErrStopping
	case s.publisher == nil && len(s.subscribers) == 0 && s.unwanted(now):
		return "unwanted", ErrUnwanted
	case s.publisher != nil && now.Sub(s.publisher.lastFrame) < s.hub.Config.TakeOverAfter:
		return "duplicate", ErrDuplicate
	}
	return "", nil
}

// detach is called with the lock held; the caller calls Source.End without it where the vehicle has not ended itself.
func (s *stream) detach(p *Publisher, reason error) {
	p.ended = reason
	p.nalus, p.scratch = nil, nil
	s.publisher = nil
	s.needKey = true
	s.cache.Clear()
	s.segment.release()
	s.hub.metrics.publishers.Dec()
	if len(s.subscribers) > 0 {
		s.hub.metrics.interruptions.Inc()
		s.setStage(relayv1.Stage_STAGE_INTERRUPTED, reason.Error())
	} else {
		s.setStage(relayv1.Stage_STAGE_UNSPECIFIED, "")
	}
}

// WriteFrame brings the vehicle's next frame. It copies f.Data and never waits for anybody. An error says why the
// publisher has ended: ErrTakenOver, ErrStopped, or that it was closed.
func (p *Publisher) WriteFrame(f *jt1078.Frame, received time.Time) error {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ended != nil {
		return p.ended
	}
	p.lastFrame = received
	s.take(p, f, received)
	return nil
}

// Close says that the vehicle's connection has ended, and why. It does nothing to a stream that has another publisher
// by then.
func (p *Publisher) Close(reason error) {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ended != nil {
		return
	}
	s.detach(p, reason)
	if len(s.subscribers) > 0 {
		s.log.Warn().Str("remote", p.source.Remote).AnErr("reason", reason).Int("subscribers", len(s.subscribers)).Msg("the vehicle's connection has ended while it is watched")
	}
}

// end is the hub's own way to end a publisher.
func (p *Publisher) end(reason error) {
	s := p.stream
	s.mu.Lock()
	ended := p.ended != nil
	if !ended {
		s.detach(p, reason)
	}
	s.mu.Unlock()
	if !ended {
		p.source.End(reason)
	}
}

// logOnce is called with the lock held.
func (p *Publisher) logOnce(err error) {
	if !p.logged {
		p.logged = true
		p.stream.log.Warn().Err(err).Str("remote", p.source.Remote).Msg("frames are dropped up to the next key frame; further ones are only counted")
	}
}
