package rtsp

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
)

// The group of pictures that a joiner starts with. A longer one is not kept: its joiners wait for the next key frame.
const (
	maxGOPBytes    = 4 << 20
	maxGOPDuration = 15 * time.Second
)

// A stream whose last picture is older than staleAfter is not described and its group of pictures not handed out: both
// would show the past as live. It is longer than a vehicle takes to dial again, and than cameras' slowest pictures are apart.
const staleAfter = 5 * time.Second

// stream is one upstream: the subscription to jt1078_server, the frames cut into RTP payloads, and the viewers that
// get them. The pool makes it for its first viewer and closes it after the last.
type stream struct {
	key          jt1078.Key
	log          zerolog.Logger
	metrics      *metrics
	server       *gortsplib.Server
	noVideo      time.Duration // rtsp.no_video
	subscription *relay.Subscription
	unwatch      context.CancelFunc
	watched      chan struct{} // closed when watch has ended

	mutex   sync.Mutex // guards what follows; held while a frame goes to the viewers' queues
	video   *video     // nil before the first video frame
	sound   sound
	gop     *media.GOPCache[*unit] // video only
	edge    int64                  // newest video timestamp
	origin  time.Time              // when the stream's clock was 0
	shown   time.Time              // when the last picture came
	viewers map[*viewer]struct{}
	refused map[string]bool // reasons that the log has already told

	served  *gortsplib.ServerStream // nil until a first key frame makes an SDP possible
	medias  [trackCount]*description.Media
	live    bool          // served can be given to who asks: its pictures are of now
	ready   chan struct{} // closed when live is set
	state   relay.State   // the last one
	failure *failure      // of the start that goes on now
}

// failure is a start's end, for all who wait for it.
type failure struct {
	failed chan struct{} // closed when err is set
	err    error
}

// newStream subscribes.
func (s *Server) newStream(key jt1078.Key) *stream {
	st := &stream{
		key: key, log: s.Log.With().Stringer("stream", key).Logger(), metrics: s.metrics, server: s.rtsp,
		noVideo: s.Config.NoVideo,
		watched: make(chan struct{}),
		gop:     newGOP(),
		viewers: make(map[*viewer]struct{}),
		refused: make(map[string]bool),
		ready:   make(chan struct{}),
		failure: &failure{failed: make(chan struct{})},
	}
	st.metrics.streams.Inc()
	var ctx context.Context
	ctx, st.unwatch = context.WithCancel(context.Background())
	go st.watch(ctx)
	st.subscription = s.Relay.Subscribe(key, st)
	return st
}

func newGOP() *media.GOPCache[*unit] {
	return &media.GOPCache[*unit]{MaxBytes: maxGOPBytes, MaxDuration: maxGOPDuration, Evict: func(*unit) {}}
}

// Close ends the subscription and the sessions that still hang on the stream.
func (st *stream) Close() {
	st.subscription.Close()
	st.unwatch()
	<-st.watched
	st.mutex.Lock()
	defer st.mutex.Unlock()
	if st.served != nil {
		st.served.Close()
		st.served = nil
	}
	st.metrics.streams.Dec()
}

// watch looks from time to time whether pictures still come.
func (st *stream) watch(ctx context.Context) {
	defer close(st.watched)
	ticker := time.NewTicker(min(time.Second, st.noVideo/4))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			st.check(now)
		case <-ctx.Done():
			return
		}
	}
}

// check acts on a picture that has not come. The viewers stay, as the vehicle may dial again or a replay go on, but not
// for ever: while there is one, the vehicle is commanded again and again.
func (st *stream) check(now time.Time) {
	st.mutex.Lock()
	defer st.mutex.Unlock()
	without := now.Sub(st.shown)
	if st.live && without >= staleAfter {
		st.stale()
	}
	if st.served != nil && without >= st.noVideo {
		st.log.Warn().Dur("for", without).Int("viewers", len(st.viewers)).Str("problem", st.state.Problem()).
			Msg("no picture for rtsp.no_video, viewers are disconnected")
		st.metrics.ended.Add(float64(len(st.viewers)))
		st.disconnect()
	}
}

// stale lets nobody start before the next key frame.
func (st *stream) stale() {
	st.gop.Clear()
	if st.live {
		st.live, st.ready = false, make(chan struct{})
	}
}

// wait returns what is to be described, as soon as there is a key frame. Its errors say why there is none.
func (st *stream) wait(ctx context.Context) (*gortsplib.ServerStream, error) {
	for {
		st.mutex.Lock()
		served, live, ready, failure := st.served, st.live, st.ready, st.failure
		st.mutex.Unlock()
		if live {
			return served, nil
		}
		select {
		case <-ready:
		case <-failure.failed:
			return nil, failure.err
		case <-ctx.Done():
			st.mutex.Lock()
			defer st.mutex.Unlock()
			return nil, &startError{state: st.state}
		}
	}
}

// OnState implements relay.Handler.
func (st *stream) OnState(s relay.State) {
	st.log.Debug().Stringer("stage", s.Stage).Str("detail", s.Detail).Msg("upstream")
	st.mutex.Lock()
	defer st.mutex.Unlock()
	st.state = s
	if s.Stage == relay.StageFailed {
		st.failure.err = &startError{state: s}
		close(st.failure.failed)
		st.failure = &failure{failed: make(chan struct{})}
		st.stale()
	}
}

// OnFrame implements relay.Handler.
func (st *stream) OnFrame(f *media.Frame) {
	received := f.Received
	if received.IsZero() {
		received = time.Now()
	}
	st.mutex.Lock()
	defer st.mutex.Unlock()
	st.origin = received.Add(-f.PTS)
	switch {
	case f.Type.Video():
		st.metrics.frames.WithLabelValues(trackVideo.String()).Inc()
		st.onVideo(f)
	case f.Type == media.FrameAudio:
		st.metrics.frames.WithLabelValues(trackAudio.String()).Inc()
		st.onSound(f)
	}
}

func (st *stream) onVideo(f *media.Frame) {
	if st.video == nil || st.video.codec != f.Codec {
		v, err := newVideo(f.Codec)
		if err != nil {
			st.refuse("video codec", err)
			return
		}
		st.reset()
		st.video = v
	}
	if f.Type == media.FrameParameterSets {
		changed, err := st.video.observe(f.Data)
		if err != nil {
			st.refuse("parameter set", err)
		}
		st.describe(changed)
		return
	}
	u, changed, err := st.video.unit(f)
	switch {
	case errors.Is(err, media.ErrParameterSet):
		st.refuse("parameter set", err)
	case err != nil:
		st.refuse("no picture", err)
	}
	if u == nil || st.served == nil && !u.key {
		return
	}
	st.describe(changed)
	st.shown = time.Now()
	if u.key && !st.live && !st.serve() {
		return
	}
	frameType := media.FrameDelta
	if u.key {
		frameType = media.FrameKey
	}
	st.gop.Add(u, u.size, frameType, f.PTS)
	st.edge = max(st.edge, u.timestamp)
	st.deliver(u)
	for _, u := range st.sound.silence(st.picture()) {
		st.deliver(u)
	}
}

// picture is how far the video has come.
func (st *stream) picture() time.Duration { return videoClock.duration(st.edge) }

func (st *stream) onSound(f *media.Frame) {
	units, err := st.sound.units(f, st.picture())
	if err != nil {
		st.refuse("sound", err)
	}
	for _, u := range units {
		st.deliver(u)
	}
}

func (st *stream) deliver(u *unit) {
	now := time.Now()
	for v := range st.viewers {
		v.push(u, now)
	}
}

// serve lets in who waits. The SDP is made once and fixed from then on, except that the video's parameter sets follow
// the stream.
func (st *stream) serve() bool {
	if st.served == nil && !st.makeSDP() {
		return false
	}
	st.live = true
	close(st.ready)
	return true
}

func (st *stream) makeSDP() bool {
	st.medias = [trackCount]*description.Media{
		trackVideo: {Type: description.MediaTypeVideo, Formats: []format.Format{st.video.format()}},
		trackAudio: {Type: description.MediaTypeAudio, Formats: []format.Format{st.sound.format()}},
	}
	served := &gortsplib.ServerStream{
		Server: st.server,
		Desc:   &description.Session{Title: st.key.String(), Medias: st.medias[:]},
	}
	if err := served.Initialize(); err != nil { // no randomness left in the system
		st.refuse("rtsp", err)
		return false
	}
	st.served, st.sound.fixed = served, true
	width, height := st.video.sets.Size(st.video.codec)
	st.log.Info().Stringer("video", st.video.codec).Int("width", width).Int("height", height).Msg("stream is ready")
	return true
}

// describe brings changed parameter sets into the SDP, for those who ask from now on. Viewers have them in-band.
func (st *stream) describe(changed bool) {
	if changed && st.served != nil {
		st.video.update(st.medias[trackVideo].Formats[0])
		width, height := st.video.sets.Size(st.video.codec)
		st.log.Info().Int("width", width).Int("height", height).Msg("parameter sets have changed")
	}
}

// reset disconnects the viewers, whose SDP promised another codec. Players reconnect by themselves or are told by
// people; RTSP has no way to change a session's tracks.
func (st *stream) reset() {
	if st.served == nil {
		return
	}
	st.log.Warn().Msg("the video codec has changed, viewers are disconnected")
	st.metrics.resets.Inc()
	st.disconnect()
	st.edge = 0
}

// disconnect ends every session on the stream, those that pause too. The next key frame makes a new SDP.
func (st *stream) disconnect() {
	st.served.Close()
	st.served, st.sound.fixed = nil, false
	st.stale()
	clear(st.viewers)
}

// refuse counts a frame that goes no further; the log tells each reason once.
func (st *stream) refuse(reason string, err error) {
	st.metrics.framesRefused.WithLabelValues(reason).Inc()
	if !st.refused[reason] {
		st.refused[reason] = true
		st.log.Warn().Err(err).Str("reason", reason).Msg("frames are left out, see pc_frames_refused_total")
	}
}

// join lets a viewer start: with the current group of pictures, then with what comes. It reports false when the
// stream is no longer what the viewer was told by its SDP.
func (st *stream) join(v *viewer, outputs *[trackCount]*output) bool {
	st.mutex.Lock()
	defer st.mutex.Unlock()
	if st.served == nil || st.served != v.session.SetuppedStream() {
		return false
	}
	addOutputs(outputs, v.session, st.medias)
	v.out = *outputs
	v.start(st.gop.Items(), st.edge, st.origin)
	st.viewers[v] = struct{}{}
	return true
}

func (st *stream) leave(v *viewer) {
	st.mutex.Lock()
	defer st.mutex.Unlock()
	delete(st.viewers, v)
}

// startError says how far a stream's start has come when it was given up.
type startError struct{ state relay.State }

func (e *startError) Error() string { return e.state.Problem() }

// refusedByNode reports whether it was not the vehicle that failed.
func (e *startError) refusedByNode() bool {
	return e.state.Stage == relay.StageFailed && e.state.FailedAt == 0
}
