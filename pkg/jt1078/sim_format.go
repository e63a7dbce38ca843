package jt1078

import (
	"bytes"
	"encoding/binary"
)

// DetectSIMFormat finds out how long the SIM of the packet at the start of b is. Both lengths are tried. When both
// make a header (which takes an unlucky SIM or clock), the better one wins: by what lies where the packet would end,
// by its body's first bytes, by how its fields fit together. It is SIMFormatAuto when neither is a packet.
//
// b may hold less than the packet, or more; it never asks for more bytes than there are.
func DetectSIMFormat(b []byte) SIMFormat {
	short, long := appraise(b, SIMFormat6.shift()), appraise(b, SIMFormat10.shift())
	switch {
	case short == impossible && long == impossible:
		return SIMFormatAuto
	case long > short:
		return SIMFormat10
	}
	return SIMFormat6
}

const impossible = -1 << 30

// appraise says how much the start of b looks like a packet with a SIM of the given length. The weights only matter
// in relation to each other: where the packet ends outweighs its beginning, the beginning outweighs single fields.
func appraise(b []byte, shift int) (score int) {
	header, total := measure(b, shift)
	switch total {
	case notHeader:
		return impossible
	case shortHeader:
		return 0
	}
	if len(b) >= total {
		switch end := b[total:]; {
		case len(end) == 0:
			score += 4 // a write of the vehicle usually ends with a packet
		case bytes.HasPrefix(end, []byte(magicBytes)):
			score += 8
		case measureShort(end[:min(len(end), len(magicBytes))], shift) == notHeader:
			score -= 8
		}
	}

	dataType, mark := DataType(b[15+shift]>>4), Subpackage(b[15+shift]&0x0f)
	if dataType.IsVideo() && mark.Starts() {
		switch body := b[header:min(total, len(b))]; {
		case startsNALU(body):
			score += 6
		case len(body) >= 4:
			score -= 2
		}
	}

	payload := PayloadType(b[5] & 0x7f)
	if payload.IsVideo() == dataType.IsVideo() && (payload == PayloadPassthrough) == (dataType == DataPassthrough) {
		score += 2
	}
	// A timestamp beyond the year 10000 is not one.
	if dataType == DataPassthrough || binary.BigEndian.Uint16(b[16+shift:]) == 0 {
		score++
	}
	if total-header <= MaxStandardBody {
		score++
	}
	// A telephone number in ten bytes has leading zeros; one in six that begins so would have four digits.
	if zeros := binary.BigEndian.Uint32(b[8:]) == 0; zeros == (shift == longShift) {
		score += 2
	}
	if isBCD(b[8 : 14+shift]) {
		score++
	}
	return score
}

func isBCD(b []byte) bool {
	for _, c := range b {
		if c>>4 > 9 || c&0x0f > 9 {
			return false
		}
	}
	return true
}

// startsNALU reports whether b begins with an Annex B start code (ITU-T H.264, B.1.1), of three or four bytes.
func startsNALU(b []byte) bool {
	if len(b) > 3 && b[0] == 0 && b[1] == 0 && b[2] == 0 {
		b = b[1:]
	}
	return len(b) >= 3 && b[0] == 0 && b[1] == 0 && b[2] == 1
}
