package jt1078

// Frame is what the sub-packages of one frame join to: an access unit, a packet of sound, a passthrough message.
type Frame struct {
	DataType    DataType
	PayloadType PayloadType
	// Timestamp of the frame's first packet, in ms on the vehicle's own clock; 0 in passthrough.
	Timestamp uint64
	// Discontinuity says that packets of this track were lost or refused between the frame given out before and
	// this one. A picture that is not a key frame then refers to what is not there: a decoder has to wait for the
	// next key frame. The frame itself is whole.
	Discontinuity bool
	// Data is the frame's bytes. See Assembler.Push for how long it stays valid.
	Data []byte
}
