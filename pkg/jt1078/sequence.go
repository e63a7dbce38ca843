package jt1078

// sequences finds the packets that are missing in one stream by their numbers. Vehicles number in more ways than one:
// audio and video together or apart, all channels of a connection together, or not in earnest at all. So the way is
// learnt, and a gap is believed only as long as gaps are rare.
type sequences struct {
	last    [trackCount]uint16
	seen    [trackCount]bool
	lastAny uint16
	// together is above 0 when the tracks proved to share one count, below 0 when each proved to have its own.
	together int8
	// Gaps inside a frame and between frames are trusted apart: a vehicle that counts all its channels together
	// shows gaps between its frames that are none, and may still be right about those inside.
	inside, between trust
}

// newSequences trusts gaps inside a frame at once, those between frames after a while: a frame with a hole is worse
// than a wait, and waiting for a key frame at every frame is worst.
func newSequences() sequences { return sequences{inside: trustMax} }

const (
	togetherMax = 8

	// farthest is the longest gap that is taken for loss. Beyond it the vehicle has set its count anew (compare
	// RFC 3550, A.1).
	farthest = 3000
)

// trust grows with each number that is where it should be, and falls eight times as fast with each that is not.
type trust int8

const (
	trustMax  trust = 64
	trustLoss trust = 8
)

// gap notes a gap and reports whether to believe it.
func (t *trust) gap() bool {
	believed := *t >= trustLoss
	*t = max(*t-trustLoss, 0)
	return believed
}

func (t *trust) clean() { *t = min(*t+1, trustMax) }

// gap is what a packet's number says about those before it; the zero value says that none is missing.
type gap struct {
	lost     int  // packets missing
	believed bool // they are
	shared   bool // they may have belonged to any track, not just to this one
	jump     bool // the number went back or far ahead, which says nothing
}

// inStep takes the number if it is the one to come by every count.
func (s *sequences) inStep(track int, number uint16, inside bool) bool {
	if number-s.last[track] != 1 || number-s.lastAny != 1 || !s.seen[track] {
		return false
	}
	s.last[track], s.lastAny = number, number
	if inside {
		s.inside.clean()
	} else {
		s.between.clean()
	}
	return true
}

// next takes the number of a track's next packet where it is not in step. inside says whether a frame is unfinished
// on this track, insideAny whether one is on any.
func (s *sequences) next(track int, number uint16, inside, insideAny bool) gap {
	own, all := number-s.last[track]-1, number-s.lastAny-1
	known := s.seen[track]
	s.last[track], s.lastAny, s.seen[track] = number, number, true
	if !known {
		return gap{}
	}
	switch {
	case own != 0 && all == 0:
		s.together = min(s.together+1, togetherMax)
	case own == 0 && all != 0:
		s.together = max(s.together-1, -togetherMax)
	}

	missing := min(own, all)
	switch {
	case s.together > 0:
		missing = all
	case s.together < 0:
		missing = own
		insideAny = inside
	}
	t := &s.between
	if insideAny {
		t = &s.inside
	}
	switch {
	case missing == 0:
		t.clean()
		return gap{}
	case missing <= farthest:
		return gap{lost: int(missing), believed: t.gap(), shared: s.together >= 0}
	}
	// The same number again is no jump: some vehicles number frames, or never count.
	return gap{jump: own != 0xffff && all != 0xffff}
}
