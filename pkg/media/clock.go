package media

import "time"

// Track is what a Clock keeps apart: each has its own order, all share one origin.
type Track uint8

// Tracks of a stream.
const (
	TrackVideo Track = iota
	TrackAudio
	TrackData

	trackCount
)

// How far a vehicle's timestamp may stray before the Clock stops believing that it is the same timescale.
const (
	// maxAhead beyond the time that has passed since the track's last frame, and since the stream's first. Vehicles
	// send what they have buffered in a burst, a few seconds at most; more is a clock that was set, or one that runs
	// fast.
	maxAhead = 3 * time.Second
	// maxBehind what has arrived last. A stalled connection delivers late; later than this the viewers' players have
	// given up waiting anyway, or the vehicle's clock stood still during a pause.
	maxBehind = 10 * time.Second
	// maxBack is how far a timestamp may go back and be taken for jitter; the frame is then held in its place.
	maxBack = 500 * time.Millisecond
	// minStep parts two frames of a track that would fall together: what the coarsest container (FLV) can tell apart.
	minStep = time.Millisecond
)

// Clock makes a stream's PTS from the vehicle's timestamps and the times of arrival. It believes the timestamps, as
// they are far smoother than the network, for as long as they make sense beside the arrival:
//
//   - The first frame of the stream is at 0, and every track's PTS only ever rise, by a millisecond at least.
//   - Timestamps that stand still (constant, zero, one for a burst of sound) are replaced by the times of arrival.
//   - Timestamps that jump back, or further ahead than time has passed, begin a new timescale; it continues where the
//     stream has come to by the time of arrival. So it is after a re-dial, too.
//   - Tracks that jump together stay together: where another track's timescale fits a timestamp, that one is used, so
//     the vehicle's synchronisation of picture and sound is kept exactly. Separate clocks are aligned by arrival.
//   - No timescale leads the stream further than maxAhead beyond the time since its first frame. One that would, as its
//     clock runs fast, begins again where the stream is: it keeps the lead, and gains no more.
//
// It is pure: it knows no time but what it is given. The zero value is ready; a Clock is not safe for concurrent use.
type Clock struct {
	tracks  [trackCount]timeline
	started bool
	origin  time.Time // arrival of the stream's first frame
	// The stream's newest frame, of whatever track: what "now" is reckoned from.
	pts     time.Duration
	arrival time.Time
}

// timeline is one track's way from timestamps to PTS.
type timeline struct {
	// A frame stamped anchor is at anchorPTS.
	anchor    uint64
	anchorPTS time.Duration
	anchored  bool

	started   bool
	timestamp uint64
	pts       time.Duration
	arrival   time.Time
}

// PTS is the time of a track's next frame. The timestamp is the vehicle's, in ms; arrivals must not go back.
func (c *Clock) PTS(track Track, timestamp uint64, arrival time.Time) time.Duration {
	t := &c.tracks[track]
	elapsed := arrival.Sub(t.arrival)
	var pts time.Duration
	switch {
	case t.anchored && timestamp == t.timestamp:
		pts = t.pts + elapsed
	case t.anchored && c.plausible(t, timestamp, elapsed, arrival):
		pts, _ = t.at(timestamp)
	default:
		pts = c.anchor(t, timestamp, arrival)
	}
	t.timestamp = timestamp
	return c.advance(t, pts, arrival)
}

// Arrived is the time of a track's next frame that bears no timestamp.
func (c *Clock) Arrived(track Track, arrival time.Time) time.Duration {
	return c.advance(&c.tracks[track], c.now(arrival), arrival)
}

// plausible reports whether the track's timescale still holds for a timestamp.
func (c *Clock) plausible(t *timeline, timestamp uint64, elapsed time.Duration, arrival time.Time) bool {
	step, ok := sinceTimestamp(timestamp, t.timestamp)
	if !ok || step < -maxBack || step > elapsed+maxAhead {
		return false
	}
	pts, ok := t.at(timestamp)
	return ok && pts >= t.pts-maxBack && pts >= c.now(arrival)-maxBehind && !c.leads(pts, arrival)
}

// leads reports whether a frame of that PTS would be too far ahead of the time since the stream's first.
func (c *Clock) leads(pts time.Duration, arrival time.Time) bool {
	return c.started && pts > arrival.Sub(c.origin)+maxAhead
}

// anchor begins a new timescale for the track: another track's where the timestamp fits it, else one by arrival.
func (c *Clock) anchor(t *timeline, timestamp uint64, arrival time.Time) time.Duration {
	now := c.now(arrival)
	t.anchor, t.anchorPTS, t.anchored = timestamp, now, true
	for i := range c.tracks {
		other := &c.tracks[i]
		if other == t || !other.anchored {
			continue
		}
		if pts, ok := other.at(timestamp); ok && pts >= now-maxAhead && pts <= now+maxAhead && !c.leads(pts, arrival) {
			t.anchor, t.anchorPTS = other.anchor, other.anchorPTS
			return pts
		}
	}
	return now
}

// now is where the stream has come to when something arrives at that time.
func (c *Clock) now(arrival time.Time) time.Duration {
	if !c.started {
		return 0
	}
	return c.pts + arrival.Sub(c.arrival)
}

// advance settles a frame's PTS.
func (c *Clock) advance(t *timeline, pts time.Duration, arrival time.Time) time.Duration {
	if t.started {
		pts = max(pts, t.pts+minStep)
	}
	pts = max(pts, 0)
	if !c.started {
		c.origin = arrival
	}
	t.started, t.pts, t.arrival = true, pts, arrival
	c.started, c.pts, c.arrival = true, pts, arrival
	return pts
}

// at is the PTS of a timestamp; ok is false where it is years from the anchor.
func (t *timeline) at(timestamp uint64) (pts time.Duration, ok bool) {
	d, ok := sinceTimestamp(timestamp, t.anchor)
	return t.anchorPTS + d, ok
}

// sinceTimestamp is the time from one timestamp to another; ok is false where it is years.
func sinceTimestamp(timestamp, since uint64) (d time.Duration, ok bool) {
	const years = 100 * 365 * 24 * int64(time.Hour/time.Millisecond)
	ms := int64(timestamp - since) // wraps as it should
	if ms > years || ms < -years {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}
