package rtsp

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	// writeQueue is gortsplib's queue of packets for a viewer. It is short, because what stands in it cannot be taken
	// back; the viewer's own queue is the one that skips.
	writeQueue = 128
	// writeRetry is when a full write queue is tried again.
	writeRetry = 5 * time.Millisecond
	// maxQueue bounds a viewer's queue in bytes: a group of pictures to start with, and what comes meanwhile.
	maxQueue = 2 * maxGOPBytes
	// reportPeriod is the time between two RTCP sender reports.
	reportPeriod = 5 * time.Second
	// By UDP a packet that comes faster than the player reads is lost, so at most udpBurst go out at a time, and then
	// a pause of udpPause: 22 Mbit/s.
	udpBurst = 4
	udpPause = 2 * time.Millisecond
)

// viewer sends a stream to one RTSP session while it plays. It numbers and stamps the packets for itself, so that a
// joiner's burst, a pause and a skip are seen by nobody else.
type viewer struct {
	session   *gortsplib.ServerSession
	log       zerolog.Logger
	metrics   *metrics
	sent      prometheus.Counter
	udp       bool
	maxLag    time.Duration
	maxBehind time.Duration
	out       [trackCount]*output // nil: the client has not set the track up
	origin    time.Time           // when the stream's clock was 0
	cancel    context.CancelFunc
	done      chan struct{}

	burst burst

	mutex    sync.Mutex // guards what follows
	queue    []queued
	bytes    int
	skipping bool          // to the next key frame
	wake     chan struct{} // has room for one
}

type queued struct {
	unit *unit
	at   time.Time
}

// output is the state of one track's RTP stream.
type output struct {
	media          *description.Media
	payloadType    uint8
	clock          clock
	ssrc           uint32
	offset         uint32 // of timestamps, random as RFC 3550 wants it
	sequence       uint16
	packets, bytes uint32
	last           int64 // newest timestamp sent, before offset; survives a pause
	reported       time.Time
}

// addOutputs makes the RTP streams of the tracks that the session has set up and that have none yet.
func addOutputs(outputs *[trackCount]*output, session *gortsplib.ServerSession, medias [trackCount]*description.Media) {
	stats := session.SetuppedStream().Stats()
	for _, media := range session.SetuppedMedias() {
		for t := range trackCount {
			if media == medias[t] && outputs[t] == nil {
				f := media.Formats[0]
				outputs[t] = &output{
					media: media, payloadType: f.PayloadType(), clock: clock(f.ClockRate()), ssrc: stats.Medias[media].Formats[f].LocalSSRC,
					offset: rand.Uint32(), sequence: uint16(rand.Uint32()),
				}
			}
		}
	}
}

// start is called by the stream, under its lock, so that what follows by push continues the group exactly.
func (v *viewer) start(gop []*unit, edge int64, origin time.Time) {
	v.origin = origin
	v.wake = make(chan struct{}, 1)
	earliest := int64(math.MinInt64)
	if out := v.out[trackVideo]; out != nil && out.packets > 0 {
		earliest = out.last + 1 // it played before its pause
	}
	v.burst = newBurst(gop, edge, v.maxBehind, earliest)
	now := time.Now()
	for _, u := range gop {
		v.push(u, now)
	}
	v.skipping = len(gop) == 0
	var ctx context.Context
	ctx, v.cancel = context.WithCancel(context.Background())
	v.done = make(chan struct{})
	go v.run(ctx)
}

// stop ends the viewer and returns when nothing more is written to the session.
func (v *viewer) stop() {
	v.cancel()
	<-v.done
}

// push queues a unit. It never blocks: a viewer that does not keep up loses what stands in its queue and goes on with
// the next key frame.
func (v *viewer) push(u *unit, now time.Time) {
	if v.out[u.track] == nil {
		return
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if len(v.queue) > 0 && (now.Sub(v.queue[0].at) > v.maxLag || v.bytes+u.size > maxQueue) {
		v.metrics.skips.Inc()
		v.metrics.framesDropped.Add(float64(len(v.queue)))
		clear(v.queue)
		v.queue, v.bytes, v.skipping = v.queue[:0], 0, true
	}
	if u.track == trackVideo {
		if v.skipping && !u.key {
			v.metrics.framesDropped.Inc()
			return
		}
		v.skipping = false
	}
	v.queue = append(v.queue, queued{u, now})
	v.bytes += u.size
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// next waits for a unit; nil when ctx is done.
func (v *viewer) next(ctx context.Context) *unit {
	for {
		if u := v.take(); u != nil {
			return u
		}
		select {
		case <-v.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func (v *viewer) take() *unit {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if len(v.queue) == 0 {
		return nil
	}
	u := v.queue[0].unit
	v.bytes -= u.size
	copy(v.queue, v.queue[1:])
	v.queue[len(v.queue)-1] = queued{}
	v.queue = v.queue[:len(v.queue)-1]
	return u
}
