package rtsp

import "time"

// A burst is the group of pictures that a viewer starts with. Players show pictures in the time that lies between
// their stamps, so a group that took ten seconds would leave the viewer ten seconds behind for ever. Therefore the
// group is stamped as if it had taken no more than rtsp.max_behind: its beginning as it is, as FFmpeg estimates the
// frame rate there, and the rest squeezed together, so that it passes in a moment. Stamps must differ all the same: VLC
// takes equal ones for missing ones and makes up its own.
type burst struct {
	from, knee, to int64 // of the stream, in video ticks: up to knee as it is, from there to to squeezed
	shift          int64 // added up to knee
}

// squeezedInterval is how far apart squeezed pictures are.
const squeezedInterval = time.Millisecond

// newBurst plans for a group that ends at edge, to start at most behind before it and never before earliest.
func newBurst(gop []*unit, edge int64, behind time.Duration, earliest int64) burst {
	b := burst{from: edge, knee: edge, to: edge}
	for _, u := range gop {
		b.from = min(b.from, u.timestamp)
	}
	start := max(edge-videoClock.ticks(behind), earliest)
	if start <= b.from {
		return b
	}
	if start > edge {
		start = edge
	}
	b.shift = start - b.from
	b.knee = b.from + max((edge-start)/2, edge-start-int64(len(gop))*videoClock.ticks(squeezedInterval))
	return b
}

// start is the stamp of the first picture.
func (b *burst) start() int64 { return b.from + b.shift }

// stamp maps a timestamp of the stream; the order stays, also that of B-frames.
func (b *burst) stamp(timestamp int64) int64 {
	switch {
	case timestamp >= b.to:
		return timestamp
	case timestamp <= b.knee:
		return timestamp + b.shift
	}
	knee := b.knee + b.shift
	return knee + (timestamp-b.knee)*(b.to-knee)/(b.to-b.knee)
}
