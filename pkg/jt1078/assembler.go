package jt1078

import "bytes"

// DefaultMaxFrame caps a frame. Key frames of 1080p vehicles stay below 1 MiB.
const DefaultMaxFrame = 4 << 20

// AssemblerOptions are the choices of an Assembler; the zero value is good.
type AssemblerOptions struct {
	// MaxFrame is how long a frame may become, in bytes; 0 means DefaultMaxFrame. A longer one is dropped.
	MaxFrame int
}

// AssemblerStats count what an Assembler saw since it was made.
type AssemblerStats struct {
	Packets uint64
	// Frames were given out.
	Frames uint64
	// EmptyPackets had no body.
	EmptyPackets uint64
	// Orphans are packets in the middle or at the end of a frame whose first packet never came; they are dropped.
	Orphans uint64
	// Gaps in the sequence numbers, and LostPackets in them by their count.
	Gaps, LostPackets uint64
	// UnbelievedGaps were so frequent that they are the vehicle's way of counting; nothing was dropped for them.
	UnbelievedGaps uint64
	// Jumps of the sequence number: back, or too far ahead to be loss.
	Jumps uint64
	// DamagedFrames were dropped because a packet in them is missing.
	DamagedFrames uint64
	// OversizedFrames were dropped because they grew beyond MaxFrame.
	OversizedFrames uint64
	// UnmarkedFrames were ended by the next one, without a packet marked last.
	UnmarkedFrames uint64
}

// Assembler joins the packets of one stream (one SIM and channel) to frames. Video, audio and passthrough packets may
// interleave. It goes by the sub-package marks, and by timestamp and data type where the marks prove wrong.
//
// What it gives out is whole: a frame with a hole is dropped, and the next of that track says Discontinuity.
//
// An Assembler is not safe for concurrent use.
type Assembler struct {
	maxFrame  int
	sequences sequences
	tracks    [trackCount]track
	stats     AssemblerStats
}

// NewAssembler makes an Assembler for one stream. It allocates nothing until frames in several packets come.
func NewAssembler(opts AssemblerOptions) *Assembler {
	if opts.MaxFrame <= 0 {
		opts.MaxFrame = DefaultMaxFrame
	}
	return &Assembler{maxFrame: opts.MaxFrame, sequences: newSequences()}
}

// Reset forgets unfinished frames and what was learnt of the vehicle's ways, as after a re-dial. The counts go on.
func (a *Assembler) Reset() {
	a.sequences = newSequences()
	for i := range a.tracks {
		t := &a.tracks[i]
		*t = track{buf: t.buf[:0], spare: t.spare[:0]}
	}
}

// Held is how much memory its frames take, in bytes: what is unfinished, and buffers kept for frames to come.
func (a *Assembler) Held() int {
	n := 0
	for i := range a.tracks {
		n += cap(a.tracks[i].buf) + cap(a.tracks[i].spare)
	}
	return n
}

// Trim lets go of buffers kept for frames to come, of the last frame given out, and of room that unfinished frames have
// far more of than they need.
func (a *Assembler) Trim() {
	for i := range a.tracks {
		t := &a.tracks[i]
		t.spare = nil
		switch {
		case !t.open && !t.held:
			t.buf = nil
		case cap(t.buf)/2 > len(t.buf):
			t.buf = bytes.Clone(t.buf)
		}
	}
}

// Stats are the counts so far.
func (a *Assembler) Stats() AssemblerStats { return a.stats }

// Push takes the stream's next packet, and gives out the frame that is complete with it, if any.
//
// f.Data is valid until the next Push. For a frame in a single packet it is the packet's own body, not a copy: it is
// then valid only as long as p.Body is. Push keeps nothing of p.
func (a *Assembler) Push(p *Packet) (f Frame, ok bool) {
	a.stats.Packets++
	i := trackOf(p.DataType)
	t := &a.tracks[i]
	if !a.sequences.inStep(i, p.Sequence, t.open) {
		a.checkSequence(i, p.Sequence)
	}
	if !t.expects(p) || len(t.buf)+len(p.Body) > a.maxFrame {
		ok = a.pushSlowly(t, p, &f)
		return f, ok
	}
	// Nearly always the packet is the next of the frame that is open.
	t.buf = append(t.buf, p.Body...)
	if p.Subpackage == SubpackageLast {
		t.open = false
		a.give(t, &f, t.buf)
		ok = true
	}
	return f, ok
}

// pushSlowly takes the packets that begin a frame, and all that is out of the ordinary. It reports whether it set f.
func (a *Assembler) pushSlowly(t *track, p *Packet, f *Frame) (ok bool) {
	if len(p.Body) == 0 {
		a.stats.EmptyPackets++
		if p.Subpackage == SubpackageAtomic {
			return false
		}
	}
	at := t.place(p)
	if at == placeJoin {
		a.add(t, p.Body)
		return p.Subpackage == SubpackageLast && !t.byTime && a.finish(t, f)
	}

	if t.open || t.held {
		unmarked := t.open
		if ok = a.finish(t, f); ok && unmarked {
			a.stats.UnmarkedFrames++
		}
	}
	if at == placeOrphan {
		a.stats.Orphans++
		t.lose(p, ok)
		return ok
	}
	ends := p.Subpackage.Ends() && !t.byTime
	if ends && !ok && len(p.Body) > 0 && len(p.Body) <= a.maxFrame {
		t.note(p)
		a.give(t, f, p.Body)
		return true
	}
	t.begin(p, ok)
	a.add(t, p.Body)
	t.open, t.held = !ends, ends
	return ok
}

// checkSequence notes what a number that is out of step says about the packets before it.
func (a *Assembler) checkSequence(i int, number uint16) {
	t := &a.tracks
	g := a.sequences.next(i, number, t[i].open, t[trackVideo].open || t[trackAudio].open || t[trackPassthrough].open)
	if g.jump {
		a.stats.Jumps++
	}
	if g.lost == 0 {
		return
	}
	a.stats.Gaps++
	a.stats.LostPackets += uint64(g.lost)
	if !g.believed {
		a.stats.UnbelievedGaps++
		return
	}
	for j := range t {
		if j == i || g.shared {
			t[j].miss()
		}
	}
}

// add appends to the unfinished frame, unless it is spoilt already.
func (a *Assembler) add(t *track, body []byte) {
	if t.damaged {
		return
	}
	if len(t.buf)+len(body) > a.maxFrame {
		a.stats.OversizedFrames++
		t.damaged, t.oversized = true, true
		t.buf = nil
		return
	}
	t.buf = append(t.buf, body...)
}

// finish ends the frame that is open or held, and gives it out if it is whole.
func (a *Assembler) finish(t *track, f *Frame) (ok bool) {
	t.open, t.held = false, false
	if t.damaged {
		if !t.oversized {
			a.stats.DamagedFrames++
		}
		t.discontinuity = true
		return false
	}
	if len(t.buf) == 0 {
		return false
	}
	a.give(t, f, t.buf)
	return true
}

// give makes f the track's frame. It goes by pointer because the copies of a returned Frame would cost as much as the
// rest of a Push.
func (a *Assembler) give(t *track, f *Frame, data []byte) {
	a.stats.Frames++
	f.DataType, f.PayloadType, f.Timestamp = t.dataType, t.payloadType, t.timestamp
	f.Discontinuity, t.discontinuity = t.discontinuity, false
	f.Data = data
}
