package relay

import (
	"time"

	"multi_process_server/pkg/media"
)

// continuity makes one stream out of what several connections bring, see Handler.OnFrame. A stream on a node has an
// epoch; within it the frames' sequence and clock go on from connection to connection, between two epochs nothing but
// the time of reception (Frame.Received) connects them. The zero value is ready for the first connection.
type continuity struct {
	epoch uint64
	// told: this connection has said which epoch it is.
	told bool
	// last is the highest sequence of the epoch that was seen.
	last uint64
	// known is what of this epoch earlier connections brought: frames up to it are repetitions.
	known uint64
	// cached is how many more frames come from the node's cache. The cache need not hold every track, so in it, and
	// just after it, a missing number is not a loss.
	cached    int
	fromCache bool
	// joined: what this connection brings follows, with nothing missing, what the earlier ones brought.
	joined bool
	// wantKey: video must wait for a key frame.
	wantKey bool

	// offset makes the stream's own clock the handler's. rebase: it must be found anew.
	offset time.Duration
	rebase bool
	// The latest frame handed over: its place on the handler's clock, when the node and when we received it.
	handed   bool
	pts      time.Duration
	received time.Time
	at       time.Time
	// tracks holds each track's latest PTS.
	tracks [3]time.Duration
}

// verdict is what to do with a frame.
type verdict uint8

const (
	handOver verdict = iota
	repeated         // an earlier connection brought it
	noKeyYet         // its group of pictures is not whole
)

// connected begins a connection.
func (c *continuity) connected() {
	c.told, c.joined, c.fromCache = false, false, false
	c.cached = 0
}

// state takes in a State event's epoch, where it has one, and its number of cached frames.
func (c *continuity) state(epoch uint64, cached int) {
	if epoch != 0 && (!c.told || epoch != c.epoch) {
		c.enter(epoch)
	}
	c.cached = cached
}

func (c *continuity) enter(epoch uint64) {
	c.told = true
	if epoch == c.epoch && c.last > 0 {
		c.known = c.last
		return
	}
	c.epoch, c.last, c.known = epoch, 0, 0
	c.joined, c.wantKey = true, true
	c.rebase = c.handed
}

// frame decides about f, sets its PTS, and counts the frames that are missing before it. now is the local time.
func (c *continuity) frame(f *media.Frame, now time.Time) (v verdict, lost uint64) {
	if !c.told {
		// A node that says nothing of epochs: whether its clock goes on cannot be known.
		c.last = 0
		c.enter(0)
	}
	afterCache := c.fromCache
	if c.fromCache = c.cached > 0; c.fromCache {
		c.cached--
	}
	if f.Sequence <= c.known {
		if f.Type == media.FrameKey || f.Type == media.FrameDelta {
			c.joined = true
		}
		return repeated, 0
	}
	if c.last > 0 && f.Sequence > c.last+1 && (!c.joined || !c.fromCache && !afterCache) {
		lost = f.Sequence - c.last - 1
		c.wantKey = true
	}
	c.joined = true
	c.last = max(c.last, f.Sequence)

	switch {
	case f.Type == media.FrameKey:
		c.wantKey = false
	case f.Type == media.FrameDelta && c.wantKey:
		return noKeyYet, lost
	}
	c.time(f, now)
	return handOver, lost
}

// skewAllowed is by how much the time between two receptions may exceed the time that passed here, as a frame's way
// varies; more means that two nodes' clocks differ.
const skewAllowed = time.Second

// time puts f on the handler's clock.
func (c *continuity) time(f *media.Frame, now time.Time) {
	if c.rebase {
		c.rebase = false
		passed := now.Sub(c.at)
		gap := f.Received.Sub(c.received)
		if gap < 0 || gap > passed+skewAllowed {
			gap = passed
		}
		c.offset = c.pts + max(gap, time.Millisecond) - f.PTS
	}
	f.PTS += c.offset
	track := &c.tracks[trackOf(f.Type)]
	f.PTS = max(f.PTS, *track)
	*track = f.PTS
	if !c.handed || f.PTS >= c.pts {
		c.handed, c.pts, c.received, c.at = true, f.PTS, f.Received, now
	}
}

func trackOf(t media.FrameType) int {
	switch {
	case t.Video():
		return 0
	case t == media.FrameAudio:
		return 1
	}
	return 2
}
