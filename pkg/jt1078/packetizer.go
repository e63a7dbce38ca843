package jt1078

// PacketizerOptions are the choices of a Packetizer; the zero value is what the standard asks for.
type PacketizerOptions struct {
	// MaxBody is the longest body of a packet, 1 to 65535; 0 means MaxStandardBody.
	MaxBody int
	// LongSIM writes the SIM in ten bytes, as a JT/T 808-2019 vehicle does, even where six would hold it.
	LongSIM bool
	// SeparateSequences counts video, audio and passthrough packets each on its own.
	SeparateSequences bool
}

// Packetizer cuts the frames of one stream into packets. It is not safe for concurrent use.
type Packetizer struct {
	opts      PacketizerOptions
	packet    Packet
	sequences [trackCount]uint16

	seenVideo, seenI bool
	lastVideo, lastI uint64 // timestamps, ms
}

// NewPacketizer makes the packets of sim's channel (1 to MaxChannel).
func NewPacketizer(sim SIM, channel uint8, opts PacketizerOptions) *Packetizer {
	if opts.MaxBody <= 0 || opts.MaxBody > 0xffff {
		opts.MaxBody = MaxStandardBody
	}
	opts.LongSIM = opts.LongSIM || sim.Long()
	return &Packetizer{opts: opts, packet: Packet{SIM: sim, LongSIM: opts.LongSIM, Channel: channel}}
}

// AppendFrame appends the frame's packets to dst. It keeps nothing of f.Data. A frame without data makes one packet
// with an empty body. f.Discontinuity is not for the wire and is ignored.
func (z *Packetizer) AppendFrame(dst []byte, f Frame) []byte {
	p := &z.packet
	p.DataType, p.PayloadType, p.Timestamp = f.DataType, f.PayloadType, f.Timestamp
	if f.DataType.IsVideo() {
		z.stampIntervals(f)
	}
	sequence := &z.sequences[0]
	if z.opts.SeparateSequences {
		sequence = &z.sequences[trackOf(f.DataType)]
	}
	for rest, first := f.Data, true; first || len(rest) > 0; first = false {
		p.Body = rest[:min(len(rest), z.opts.MaxBody)]
		rest = rest[len(p.Body):]
		p.Marker = len(rest) == 0
		switch {
		case first && p.Marker:
			p.Subpackage = SubpackageAtomic
		case first:
			p.Subpackage = SubpackageFirst
		case p.Marker:
			p.Subpackage = SubpackageLast
		default:
			p.Subpackage = SubpackageMiddle
		}
		p.Sequence = *sequence
		*sequence++
		dst = p.append(dst)
	}
	p.Body = nil
	return dst
}

// stampIntervals sets the two intervals of a video header: the time since the last I frame and since the last frame.
func (z *Packetizer) stampIntervals(f Frame) {
	z.packet.LastIFrameInterval, z.packet.LastFrameInterval = 0, 0
	if z.seenI {
		z.packet.LastIFrameInterval = interval(z.lastI, f.Timestamp)
	}
	if z.seenVideo {
		z.packet.LastFrameInterval = interval(z.lastVideo, f.Timestamp)
	}
	z.seenVideo, z.lastVideo = true, f.Timestamp
	if f.DataType == DataI {
		z.seenI, z.lastI = true, f.Timestamp
	}
}

// interval is 0 where the clock went back, and the field's greatest value where it would not fit.
func interval(from, to uint64) uint16 {
	if to < from {
		return 0
	}
	return uint16(min(to-from, 0xffff))
}
