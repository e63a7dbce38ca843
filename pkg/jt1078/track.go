package jt1078

// A channel's packets belong to three tracks whose frames interleave freely.
const (
	trackVideo = iota
	trackAudio
	trackPassthrough
	trackCount
)

func trackOf(t DataType) int {
	switch {
	case t.IsVideo():
		return trackVideo
	case t == DataAudio:
		return trackAudio
	}
	return trackPassthrough
}

const (
	// lyingOrphans in a row, a second or so of video, prove that a vehicle never marks a first packet.
	lyingOrphans = 128

	// Every shrinkAfter frames, among them several key frames, a buffer of more than keepCapacity bytes is replaced
	// if three quarters of it were not used.
	shrinkAfter  = 256
	keepCapacity = 64 << 10
)

// track joins the packets of one track.
type track struct {
	buf   []byte // of the frame that is open or held
	spare []byte // takes the next frame while buf is given out

	open      bool // a frame has begun and is not finished
	held      bool // a frame is finished, and waits for Push to have no other to give out
	damaged   bool // the frame will not be given out
	oversized bool // because of its size, which is counted

	// Of the open or held frame, else of the one before.
	dataType    DataType
	payloadType PayloadType
	timestamp   uint64
	startedNALU bool // its first packet began with a start code

	discontinuity bool // for the next frame given out
	begun         bool // there was a frame
	moves         bool // timestamps differ from frame to frame
	byTime        bool // the vehicle's marks lie: only timestamp and type tell frames apart
	orphans       int  // in a row

	frames, peak int // since the buffers were looked at: how many, and the longest in bytes
}

// expects reports whether p goes on with the open frame by all that it says.
func (t *track) expects(p *Packet) bool {
	return t.open && !t.damaged && !t.byTime && p.Subpackage >= SubpackageLast && len(p.Body) > 0 &&
		p.Timestamp == t.timestamp && p.DataType == t.dataType
}

// place is where a packet belongs.
type place uint8

const (
	placeBegin  place = iota // it is the first of a frame
	placeJoin                // it goes on with the open one
	placeOrphan              // its frame's beginning is not there
)

// place weighs the marks against what cannot lie: an access unit begins with a start code, so a packet of video
// without one is never the first of a frame.
func (t *track) place(p *Packet) place {
	same := t.begun && p.Timestamp == t.timestamp && p.DataType == t.dataType
	if t.byTime {
		if same && t.open {
			return placeJoin
		}
		return placeBegin
	}
	if p.Subpackage.Starts() {
		if same && t.startedNALU && len(p.Body) > 0 && p.DataType.IsVideo() && !startsNALU(p.Body) {
			if t.open {
				return placeJoin
			}
			if t.moves { // every packet is marked atomic
				t.byTime = true
				return placeOrphan
			}
		}
		return placeBegin
	}
	switch {
	case !t.open:
		t.orphans++
		t.byTime = t.orphans >= lyingOrphans && p.DataType.IsVideo()
		return placeOrphan
	case same:
		return placeJoin
	case t.damaged: // the packets missing were the end of this frame and the beginning of the next
		return placeOrphan
	case p.DataType.IsVideo() && !startsNALU(p.Body): // the vehicle stamps packets, not frames
		return placeJoin
	}
	return placeBegin
}

// miss notes that a packet is missing before the one that comes now.
func (t *track) miss() {
	if t.open {
		t.damaged = true
	} else {
		t.discontinuity = true
	}
}

// begin makes p the first packet of the frame. With given, buf holds a frame that the caller is giving out.
func (t *track) begin(p *Packet, given bool) {
	t.frames++
	t.peak = max(t.peak, len(t.buf))
	if given {
		t.buf, t.spare = t.spare, t.buf
	}
	if t.frames >= shrinkAfter {
		t.buf, t.spare = shrink(t.buf, t.peak), shrink(t.spare, t.peak)
		t.frames, t.peak = 0, 0
	}
	t.buf = t.buf[:0]
	t.open, t.damaged, t.oversized = true, false, false
	t.note(p)
}

func shrink(buf []byte, peak int) []byte {
	if cap(buf) > keepCapacity && cap(buf)/4 > peak {
		return nil
	}
	return buf
}

// note takes p as the first packet of a frame, which may be its only one.
func (t *track) note(p *Packet) {
	t.moves = t.moves || t.begun && p.Timestamp != t.timestamp
	t.dataType, t.payloadType, t.timestamp = p.DataType, p.PayloadType, p.Timestamp
	t.startedNALU = startsNALU(p.Body)
	t.begun = true
	t.orphans = 0
}

// lose gives up p's frame. With given, buf holds a frame that the caller is giving out.
func (t *track) lose(p *Packet, given bool) {
	t.discontinuity = true
	if t.byTime {
		t.begin(p, given)
		t.damaged = true
	}
}
