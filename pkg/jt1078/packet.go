package jt1078

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	magic      = 0x30316364 // "01cd", the frame header of table 19
	magicBytes = "01cd"
	flags      = 0x81 // V=2 P=0 X=0 CC=1, the same in every packet

	longShift = 4 // how much further everything after a ten-byte SIM lies

	// Sizes of headers with a six-byte SIM: passthrough has no timestamp, and only video has the two intervals.
	videoHeaderSize, audioHeaderSize, passthroughHeaderSize = 30, 26, 18

	maxHeaderSize = videoHeaderSize + longShift
	maxPacketSize = maxHeaderSize + 0xffff

	// MaxStandardBody is the longest body that the standard allows. Vehicles exceed it; the reader lets them.
	MaxStandardBody = 950
)

// headerSizes, with a six-byte SIM, by the byte of data type and sub-package mark; 0 where there is no such type or
// mark.
var headerSizes = func() (sizes [256]uint8) {
	for dataType, size := range [...]uint8{
		DataI: videoHeaderSize, DataP: videoHeaderSize, DataB: videoHeaderSize,
		DataAudio: audioHeaderSize, DataPassthrough: passthroughHeaderSize,
	} {
		for mark := range SubpackageMiddle + 1 {
			sizes[dataType<<4|int(mark)] = size
		}
	}
	return sizes
}()

// Packet is one packet of a stream (JT/T 1078-2016, 5.5.3, table 19).
type Packet struct {
	// Marker is the M bit: the packet ends a frame. Vehicles set it at random, so nothing here relies on it.
	Marker      bool
	PayloadType PayloadType
	// Sequence counts packets and wraps; some vehicles count audio and video together, some apart.
	Sequence uint16
	SIM      SIM
	// LongSIM is set when the SIM takes ten bytes on the wire (JT/T 808-2019) instead of six.
	LongSIM    bool
	Channel    uint8
	DataType   DataType
	Subpackage Subpackage
	// Timestamp in ms on the vehicle's own clock; absent (0) in passthrough.
	Timestamp uint64
	// LastIFrameInterval and LastFrameInterval in ms, video only. Unreliable: never used for timing.
	LastIFrameInterval uint16
	LastFrameInterval  uint16
	// Body aliases the buffer that the packet was parsed from.
	Body []byte
}

// ID is the stream that the packet belongs to.
func (p *Packet) ID() StreamID { return StreamID{SIM: p.SIM, Channel: p.Channel} }

// SIMFormat is how many bytes of a header the SIM takes. Nothing in the header says so; it has to be found out.
type SIMFormat uint8

// SIM formats.
const (
	SIMFormatAuto SIMFormat = iota // found out from the bytes, see DetectSIMFormat
	SIMFormat6                     // BCD[6], JT/T 808-2011 and 2013
	SIMFormat10                    // BCD[10], JT/T 808-2019
)

func (f SIMFormat) shift() int {
	if f == SIMFormat10 {
		return longShift
	}
	return 0
}

// Errors of ParsePacket.
var (
	ErrNotPacket = errors.New("not a JT/T 1078 packet")
	ErrTruncated = errors.New("JT/T 1078 packet is cut short")
)

// ParsePacket reads the packet at the start of b, as of a datagram, and returns its size; p.Body aliases b. With
// SIMFormatAuto the format is taken from b alone; p.LongSIM tells which it was. Its errors are ErrNotPacket and
// ErrTruncated, and p is then untouched.
func ParsePacket(b []byte, format SIMFormat, p *Packet) (int, error) {
	if format == SIMFormatAuto {
		if format = DetectSIMFormat(b); format == SIMFormatAuto {
			return 0, ErrNotPacket
		}
	}
	shift := format.shift()
	header, total := measure(b, shift)
	switch {
	case total == notHeader:
		return 0, ErrNotPacket
	case total == shortHeader || total > len(b):
		return 0, ErrTruncated
	}
	p.decode(b[:total:total], header, shift)
	return total, nil
}

// What measure returns for a size when there is none.
const (
	notHeader   = -1
	shortHeader = 0
)

// measure sizes the packet at the start of b: its header and the whole of it, which may be more than b has. The total
// is notHeader when b cannot be a packet, shortHeader when it can but its header is not all there.
func measure(b []byte, shift int) (header, total int) {
	if len(b) < passthroughHeaderSize+shift {
		return 0, measureShort(b, shift)
	}
	if !isHeader(b, shift) {
		return 0, notHeader
	}
	header = int(headerSizes[b[15+shift]]) + shift
	if len(b) < header {
		return 0, shortHeader
	}
	return header, header + int(binary.BigEndian.Uint16(b[header-2:]))
}

// isHeader checks what can be checked in a header; b has at least passthroughHeaderSize+shift bytes.
func isHeader(b []byte, shift int) bool {
	channel, kind := b[14+shift], b[15+shift]
	return binary.BigEndian.Uint64(b)>>24 == magic<<8|flags && channel-1 < MaxChannel && headerSizes[kind] != 0
}

// measureShort judges a beginning that is shorter than any header.
func measureShort(b []byte, shift int) int {
	n := min(len(b), len(magicBytes))
	if string(b[:n]) != magicBytes[:n] ||
		len(b) > 4 && b[4] != flags ||
		len(b) > 14+shift && b[14+shift]-1 >= MaxChannel ||
		len(b) > 15+shift && headerSizes[b[15+shift]] == 0 {
		return notHeader
	}
	return shortHeader
}

// decode fills p from a whole packet that measure has approved.
func (p *Packet) decode(b []byte, header, shift int) {
	p.Body = b[header:]
	fixed := b
	if len(b) < maxHeaderSize {
		var padded [maxHeaderSize]byte
		copy(padded[:], b)
		fixed = padded[:]
	}
	h := (*[videoHeaderSize]byte)(fixed[shift:])
	p.decodeSIM(h, shift)
	p.decodeFixed(binary.BigEndian.Uint64(fixed), h)
	if !p.DataType.IsVideo() {
		p.LastIFrameInterval, p.LastFrameInterval = 0, 0
	}
	if p.DataType == DataPassthrough {
		p.Timestamp = 0
	}
}

// decodeUsual does at once what Reader.Read does for nearly all packets: it fills p if b begins with a whole packet of
// video, no longer than the standard allows, followed by another packet. It returns the packet's size, 0 if b does not.
func (p *Packet) decodeUsual(b []byte, shift int) (total int) {
	h := (*[videoHeaderSize]byte)(b[shift:])
	first := binary.BigEndian.Uint64(b)
	size := int(binary.BigEndian.Uint16(h[28:]))
	total = videoHeaderSize + shift + size
	if first>>24 != magic<<8|flags || h[14]-1 >= MaxChannel || h[15] > byte(DataB)<<4|0x0f || h[15]&0x0f > 3 ||
		size > MaxStandardBody || len(b) < total+4 || binary.BigEndian.Uint32(b[total:]) != magic {
		return 0
	}
	p.Body = b[videoHeaderSize+shift : total : total]
	p.decodeSIM(h, shift)
	p.decodeFixed(first, h)
	return total
}

// decodeFixed takes the fields of a video header, whose first eight bytes are first. From offset 14 on, h is as in
// table 19 for both lengths of SIM.
func (p *Packet) decodeFixed(first uint64, h *[videoHeaderSize]byte) {
	p.Marker = first&(1<<23) != 0
	p.PayloadType = PayloadType(first >> 16 & 0x7f)
	p.Sequence = uint16(first)
	p.Channel = h[14]
	p.DataType = DataType(h[15] >> 4)
	p.Subpackage = Subpackage(h[15] & 0x0f)
	p.Timestamp = binary.BigEndian.Uint64(h[16:])
	p.LastIFrameInterval = binary.BigEndian.Uint16(h[24:])
	p.LastFrameInterval = binary.BigEndian.Uint16(h[26:])
}

func (p *Packet) decodeSIM(h *[videoHeaderSize]byte, shift int) {
	p.LongSIM = shift != 0
	if p.LongSIM {
		p.SIM = SIM(h[4:])
	} else {
		*(*[4]byte)(p.SIM[:]) = [4]byte{}
		*(*[6]byte)(p.SIM[4:]) = [6]byte(h[8:])
	}
}

// Append writes the packet as it goes over the wire. It refuses what a header cannot say.
func (p *Packet) Append(dst []byte) ([]byte, error) {
	switch {
	case len(p.Body) > 0xffff:
		return dst, fmt.Errorf("body of %d bytes: a packet holds at most 65535", len(p.Body))
	case p.Channel < 1 || p.Channel > MaxChannel:
		return dst, fmt.Errorf("channel %d is not 1 to %d", p.Channel, MaxChannel)
	case p.DataType > DataPassthrough:
		return dst, fmt.Errorf("data type %d is not 0 to 4", p.DataType)
	case p.Subpackage > SubpackageMiddle:
		return dst, fmt.Errorf("sub-package mark %d is not 0 to 3", p.Subpackage)
	case p.PayloadType > 0x7f:
		return dst, fmt.Errorf("payload type %d is not 0 to 127", p.PayloadType)
	case p.SIM.Long() && !p.LongSIM:
		return dst, fmt.Errorf("SIM %s needs the ten-byte format", p.SIM)
	}
	return p.append(dst), nil
}

func (p *Packet) append(dst []byte) []byte {
	second := byte(p.PayloadType)
	if p.Marker {
		second |= 0x80
	}
	dst = append(dst, magicBytes[0], magicBytes[1], magicBytes[2], magicBytes[3], flags, second)
	dst = binary.BigEndian.AppendUint16(dst, p.Sequence)
	if p.LongSIM {
		dst = append(dst, p.SIM[:]...)
	} else {
		dst = append(dst, p.SIM[4:]...)
	}
	dst = append(dst, p.Channel, byte(p.DataType)<<4|byte(p.Subpackage))
	if p.DataType != DataPassthrough {
		dst = binary.BigEndian.AppendUint64(dst, p.Timestamp)
		if p.DataType.IsVideo() {
			dst = binary.BigEndian.AppendUint16(dst, p.LastIFrameInterval)
			dst = binary.BigEndian.AppendUint16(dst, p.LastFrameInterval)
		}
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(p.Body)))
	return append(dst, p.Body...)
}
