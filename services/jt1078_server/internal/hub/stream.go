package hub

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc/mem"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
)

// stream is one channel's live picture or playback, from the first who wants or sends it until some time after the
// last. Its clock and its sequence go on for as long, through any number of the vehicle's connections.
type stream struct {
	hub   *Hub
	key   jt1078.Key
	epoch uint64
	log   zerolog.Logger
	// wake holds a token when something has changed that the supervisor may wait for.
	wake chan struct{}

	mu sync.Mutex // guards what follows, and the publisher's and the subscribers' own fields

	publisher   *Publisher
	subscribers []*Subscriber
	// stage is how far the publisher, or the start, has come; unspecified when there is neither.
	stage relayv1.Stage

	sequence uint64
	clock    media.Clock
	codec    media.Codec // of the video, by the last key frame
	sets     media.ParameterSets
	needKey  bool // delta frames refer to something that is missing
	segment  segment
	cache    media.GOPCache[entry]

	demand
}

// entry is an encoded frame in the cache, which holds a reference to the buffer of its segment.
type entry struct {
	buffer     mem.Buffer
	start, end int
	typ        media.FrameType
}

// event is the frame's event alone, with a reference of its own.
func (e *entry) event() mem.Buffer { return e.buffer.Slice(e.start, e.end) }

// over reports whether nothing is left to keep or to remember of the stream.
func (s *stream) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publisher == nil && len(s.subscribers) == 0 && !s.supervised &&
		!s.unwanted(now) && now.After(s.holdUntil)
}

// active reports whether the stream is sent or waited for, and not only remembered.
func (s *stream) active() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publisher != nil || len(s.subscribers) > 0
}

// close is the stream's end when the hub stops.
func (s *stream) close() {
	s.mu.Lock()
	s.endSubscribers(ErrStopping)
	publisher := s.publisher
	s.mu.Unlock()
	if publisher != nil {
		publisher.end(ErrStopped)
	}
}

// subscribe is called with the lock held.
func (s *stream) subscribe(name string) (*Subscriber, error) {
	now := time.Now()
	if wait := s.holdUntil.Sub(now); s.failure != nil && wait > 0 && s.stage != relayv1.Stage_STAGE_PLAYING {
		failure := *s.failure
		failure.RetryAfter = wait
		return nil, &failure
	}
	if len(s.subscribers) >= s.hub.Config.MaxSubscribers {
		return nil, ErrTooManySubscribers
	}
	c := &Subscriber{name: name, stream: s, ready: make(chan struct{}, 1), needKey: true}
	s.subscribers = append(s.subscribers, c)
	s.hub.metrics.subscribers.Inc()
	s.log.Debug().Str("subscriber", name).Int("subscribers", len(s.subscribers)).Msg("subscribed")

	cached := s.cache.Items()
	if s.stage != relayv1.Stage_STAGE_PLAYING || len(cached) > s.hub.Config.QueueMaxFrames/2 {
		cached = nil
	}
	if s.stage != relayv1.Stage_STAGE_UNSPECIFIED {
		c.pushState(s.state(&relayv1.State{Stage: s.stage, CachedFrames: uint32(len(cached))}))
	}
	for _, e := range cached {
		c.pushFrame(item{buffer: e.event(), size: e.end - e.start, typ: e.typ, queued: now})
	}
	s.demanded()
	return c, nil
}

// setStage is called with the lock held. It tells everybody.
func (s *stream) setStage(stage relayv1.Stage, detail string) {
	s.stage = stage
	if stage != relayv1.Stage_STAGE_INTERRUPTED {
		s.best = max(s.best, stage)
	}
	if len(s.subscribers) > 0 {
		state := s.state(&relayv1.State{Stage: stage, Detail: detail})
		for _, c := range s.subscribers {
			c.pushState(state)
		}
	}
	s.poke()
}

// advance is setStage unless the stream is that far already.
func (s *stream) advance(stage relayv1.Stage) {
	if stage > s.stage {
		s.setStage(stage, "")
	}
}

// state encodes a state. States are rare, so they are left to the collector: any number may share one without
// references.
func (s *stream) state(state *relayv1.State) item {
	state.Epoch = s.epoch
	buffer := mem.SliceBuffer(relayv1.AppendStateEvent(nil, state))
	return item{buffer: buffer, size: len(buffer), queued: time.Now()}
}

// endSubscribers is called with the lock held.
func (s *stream) endSubscribers(err error) {
	for _, c := range s.subscribers {
		c.end(err)
	}
	if len(s.subscribers) > 0 {
		s.subscribers, s.unwatched = nil, time.Now()
	}
}

// poke wakes the supervisor, if there is one, to look again.
func (s *stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take brings a frame of the vehicle to everybody. It is called with the lock held; f.Data is only read.
func (s *stream) take(p *Publisher, f *jt1078.Frame, received time.Time) {
	s.advance(relayv1.Stage_STAGE_FIRST_PACKET)
	frame := media.Frame{
		Codec:            codecOf(f.DataType, f.PayloadType),
		PayloadType:      uint8(f.PayloadType),
		Received:         received,
		VehicleTimestamp: f.Timestamp,
		Data:             f.Data,
	}
	switch {
	case f.DataType.IsVideo():
		p.video = true
		s.takeVideo(p, f, &frame)
		return
	case f.DataType == jt1078.DataAudio:
		frame.Type = media.FrameAudio
		frame.PTS = s.clock.PTS(media.TrackAudio, f.Timestamp, received)
	default:
		frame.Type = media.FrameData
		frame.PTS = s.clock.Arrived(media.TrackData, received)
	}
	if !p.video && received.Sub(p.since) > aloneAfter {
		s.advance(relayv1.Stage_STAGE_PLAYING)
	}
	if s.stage != relayv1.Stage_STAGE_PLAYING {
		s.drop(dropEarly)
		return
	}
	s.emit(&frame)
}

// aloneAfter is how long sound or data come without any picture until they are taken for the whole stream.
const aloneAfter = 2 * time.Second

func (s *stream) takeVideo(p *Publisher, f *jt1078.Frame, frame *media.Frame) {
	s.needKey = s.needKey || f.Discontinuity
	withSets, reason := s.inspect(p, f, frame)
	if reason == dropNoPicture {
		s.drop(reason)
		return
	}
	// A picture passes the clock even when it is dropped: the clock shall see how the timestamps run.
	frame.PTS = s.clock.PTS(media.TrackVideo, f.Timestamp, frame.Received)
	switch {
	case reason != notDropped:
		s.needKey = true
	case frame.Type == media.FrameKey:
		s.codec, s.needKey = frame.Codec, false
	case s.needKey || frame.Codec != s.codec:
		s.needKey, reason = true, dropWaitKey
	}
	if reason != notDropped {
		s.drop(reason)
		return
	}
	s.advance(relayv1.Stage_STAGE_PLAYING)
	if frame.Type == media.FrameKey && !withSets {
		p.scratch = s.sets.AppendAnnexB(p.scratch[:0])
		sets := *frame
		sets.Type, sets.Data = media.FrameParameterSets, p.scratch
		s.emit(&sets)
	}
	s.emit(frame)
}

// inspect looks at a frame's NAL units up to its first slice: it settles the frame's codec and type, keeps parameter
// sets, and tells whether a key frame brings all of them itself.
func (s *stream) inspect(p *Publisher, f *jt1078.Frame, frame *media.Frame) (withSets bool, reason drop) {
	frame.Type = media.FrameDelta
	if frame.Codec == media.CodecAVS || frame.Codec == media.CodecSVAC {
		// Nobody here looks into these: the vehicle's word is all there is.
		if f.DataType == jt1078.DataI {
			frame.Type = media.FrameKey
		}
		return true, notDropped
	}
	hint := s.codec
	if hint != media.CodecH264 && hint != media.CodecH265 {
		hint = frame.Codec
	}
	p.nalus, frame.Codec = media.AppendHead(p.nalus[:0], f.Data, hint)
	if _, err := s.sets.Observe(frame.Codec, p.nalus); err != nil {
		p.logOnce(err)
		return false, dropBadParameterSets
	}
	if !media.ContainsPicture(frame.Codec, p.nalus) {
		return false, dropNoPicture
	}
	if media.ContainsKey(frame.Codec, p.nalus) {
		if !s.sets.Complete(frame.Codec) {
			return false, dropNoParameterSets
		}
		frame.Type = media.FrameKey
	}
	return media.ContainsParameterSets(frame.Codec, p.nalus), notDropped
}

// emit encodes a frame once and gives it to the cache and to everybody.
func (s *stream) emit(f *media.Frame) {
	s.sequence++
	f.Sequence = s.sequence
	size := relayv1.FrameEventSize(f)
	room, buffer, start := s.segment.reserve(s.hub.pool, size)
	relayv1.AppendFrameEvent(room, f)
	e := entry{buffer: buffer, start: start, end: start + size, typ: f.Type}
	if len(s.subscribers) > 0 {
		event := e.event()
		for _, c := range s.subscribers {
			event.Ref()
			c.pushFrame(item{buffer: event, size: size, typ: f.Type, queued: f.Received})
		}
		event.Free()
	}
	if s.cache.Add(e, size, f.Type, f.PTS) {
		buffer.Ref()
	}
	m := s.hub.metrics
	m.frames[f.Type].Inc()
	m.bytes.Add(float64(len(f.Data)))
}

func (s *stream) drop(reason drop) { s.hub.metrics.dropped[reason].Inc() }
