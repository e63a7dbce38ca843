// Package pipeline is one stream on its way from the relay to the viewers: frames are turned into access units once,
// pictures as they are and sound as AAC, and fanned out to any number of outputs. What an output does with units (RTMP,
// FLV) is its own affair; it can neither wait for another nor make one wait.
package pipeline

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
)

const (
	// quiet is how long nothing has to come from the vehicle before the track of sound goes on by itself, and the
	// step at which it does.
	quiet = 200 * time.Millisecond
	// catchUp is how long the picture may stay behind the silence that was made while it paused. A stalled connection
	// delivers what it held back within that; a vehicle whose clock stood still never catches up.
	catchUp       = 3 * time.Second
	behindAllowed = 500 * time.Millisecond
	// staleAfter is how long after the last picture the group that is kept is no longer a beginning for a joiner, who
	// would take it for what is there now.
	staleAfter = 5 * time.Second
	// complainAgain is the least time between two lines in the log about one stream's trouble.
	complainAgain = 5 * time.Second
)

// Pipeline is one stream. Fill in the exported fields, call Initialize, and Close at the end.
type Pipeline struct {
	Key     jt1078.Key
	Config  Config
	Log     zerolog.Logger
	Metrics *Metrics
	// Subscribe takes the stream from the relay until the result is closed.
	Subscribe func(jt1078.Key, relay.Handler) interface{ Close() }

	subscription interface{ Close() }
	quiet        *time.Timer
	done         chan struct{}
	wg           sync.WaitGroup

	mutex   sync.Mutex // guards what follows
	closed  bool
	state   relay.State
	video   videoTrack
	audio   audioTrack
	cache   media.GOPCache[*Unit]
	outputs map[*Output]struct{}
	// shift makes the relay's clock the outputs': it grows when a pause has let the sound run ahead for good.
	shift       time.Duration
	behindSince time.Time
	// now is what the stream's clock shows at arrived.
	now       time.Duration
	arrived   time.Time
	lastVideo time.Time
	// complaint is the last trouble that was logged, complained when.
	complaint  string
	complained time.Time
}

// Initialize subscribes.
func (p *Pipeline) Initialize() {
	p.video.metrics, p.audio.metrics = p.Metrics, p.Metrics
	p.cache = media.GOPCache[*Unit]{MaxBytes: p.Config.GOPBytes, MaxDuration: p.Config.GOPDuration, Evict: func(*Unit) {}}
	p.outputs = make(map[*Output]struct{})
	p.done = make(chan struct{})
	p.quiet = time.NewTimer(quiet)
	p.Metrics.streams.Inc()
	p.wg.Go(p.fillPauses)
	p.subscription = p.Subscribe(p.Key, p)
}

// Close ends the subscription and every output.
func (p *Pipeline) Close() {
	p.mutex.Lock()
	closed := p.closed
	p.closed = true
	p.mutex.Unlock()
	if closed {
		return
	}
	p.subscription.Close()
	close(p.done)
	p.wg.Wait()
	p.quiet.Stop()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for o := range p.outputs {
		o.end(ErrClosed)
	}
	p.audio.stop()
	p.Metrics.streams.Dec()
}

// Attach adds an output. It begins with the current group of pictures, or with the next key frame. The format is the
// output's name in metrics.
func (p *Pipeline) Attach(format string) *Output {
	o := &Output{
		pipeline: p, config: &p.Config, metrics: p.Metrics, format: format,
		ready: make(chan struct{}, 1), waitKey: true, lastDTS: -1,
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.closed {
		o.end(ErrClosed)
		return o
	}
	if !p.audio.running() {
		p.report(p.audio.open(p.clock()))
	}
	p.join(o)
	p.outputs[o] = struct{}{}
	p.Metrics.outputs.WithLabelValues(format).Inc()
	return o
}

// join queues the current group of pictures. The caller holds the mutex.
func (p *Pipeline) join(o *Output) {
	for _, u := range burst(p.cache.Items(), p.pausedUntil()) {
		o.push(u)
	}
}

func (p *Pipeline) detach(o *Output) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if _, ok := p.outputs[o]; !ok {
		return
	}
	delete(p.outputs, o)
	p.Metrics.outputs.WithLabelValues(o.format).Dec()
	if len(p.outputs) == 0 {
		p.audio.stop() // encoding is what costs most here
	}
}

// AudioFormat is how the sound is to be decoded, nil when there is none. It holds while an output is attached, or
// until a unit says otherwise.
func (p *Pipeline) AudioFormat() *Format {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if !p.audio.running() {
		return nil
	}
	return p.audio.format
}

// State is the last that was heard of the stream's start.
func (p *Pipeline) State() relay.State {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.state
}

// LastVideo is when the last picture came, zero before the first.
func (p *Pipeline) LastVideo() time.Time {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.lastVideo
}

// OnState implements relay.Handler.
func (p *Pipeline) OnState(s relay.State) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if s.Stage != p.state.Stage {
		p.Log.Info().Stringer("stage", s.Stage).Str("detail", s.Detail).Msg("stream")
	}
	p.state = s
	if s.Stage == relay.StageFailed {
		p.cache.Clear()
	}
	for o := range p.outputs {
		o.wake()
	}
}

// OnFrame implements relay.Handler.
func (p *Pipeline) OnFrame(f *media.Frame) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	now := time.Now()
	pts := f.PTS + p.shift
	switch {
	case f.Type.Video():
		pts += p.catchUp(pts, now)
		begun := p.video.started
		u, err := p.video.unit(f, pts)
		p.report(err)
		p.now, p.arrived = pts, now
		p.quiet.Reset(quiet)
		if u == nil {
			return
		}
		if !begun {
			p.audio.place(u.DTS)
		}
		p.lastVideo = now
		kind := media.FrameDelta
		if u.Key {
			kind = media.FrameKey
		}
		p.cache.Add(u, len(u.Payload), kind, u.PTS)
		p.send(u)
		p.sendAll(p.audio.fill(u.DTS))
	case f.Type == media.FrameAudio && p.video.started:
		p.now, p.arrived = max(p.now, pts), now
		p.sendAll(p.audio.write(f, pts))
	}
}

// catchUp returns by how much the picture must be moved to be where the sound is, see shift.
func (p *Pipeline) catchUp(pts time.Duration, now time.Time) time.Duration {
	behind := p.audio.end() - pts
	switch {
	case !p.audio.running() || behind < behindAllowed:
		p.behindSince = time.Time{}
	case p.behindSince.IsZero():
		p.behindSince = now
	case now.Sub(p.behindSince) > catchUp:
		p.behindSince = time.Time{}
		p.shift += behind
		return behind
	}
	return 0
}

// fillPauses keeps the sound going while nothing comes, and lets go of pictures that are out of date.
func (p *Pipeline) fillPauses() {
	for {
		select {
		case <-p.quiet.C:
		case <-p.done:
			return
		}
		p.mutex.Lock()
		if p.video.started {
			p.sendAll(p.audio.fill(p.clock()))
		}
		if time.Since(p.lastVideo) > staleAfter {
			p.cache.Clear()
		}
		p.quiet.Reset(quiet)
		p.mutex.Unlock()
	}
}

// clock is the stream's time now: it goes on while nothing comes. The caller holds the mutex.
func (p *Pipeline) clock() time.Duration {
	if p.arrived.IsZero() {
		return 0
	}
	return p.now + time.Since(p.arrived)
}

// pausedUntil is where a joiner of a paused stream stands, 0 for one that is not. The caller holds the mutex.
func (p *Pipeline) pausedUntil() time.Duration {
	if now := p.clock(); now-p.now > 2*quiet {
		return now.Truncate(time.Millisecond)
	}
	return 0
}

func (p *Pipeline) sendAll(units []*Unit, err error) {
	p.report(err)
	for _, u := range units {
		p.send(u)
	}
}

func (p *Pipeline) send(u *Unit) {
	for o := range p.outputs {
		o.push(u)
	}
}

// Complaint is the last trouble with what the vehicle sends, empty when there was none.
func (p *Pipeline) Complaint() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.complaint
}

// report logs the stream's troubles, each once and not many at a time. The caller holds the mutex.
func (p *Pipeline) report(err error) {
	if err == nil || err.Error() == p.complaint || time.Since(p.complained) < complainAgain {
		return
	}
	p.complaint, p.complained = err.Error(), time.Now()
	p.Log.Warn().Err(err).Msg("trouble with what the vehicle sends")
}
