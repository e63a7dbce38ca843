package audio

import "encoding/binary"

// hisiliconHeader is the length of what HiSilicon's encoders put before a packet's samples: 00 01, then the number of
// 16-bit words that follow, then 0. The count is unsigned; packets of more than 255 words carry into the last byte.
const hisiliconHeader = 4

// StripHiSilicon returns the body without HiSilicon's header, and whether there was one. A vehicle can send packets
// with it and without, so each is looked at for itself.
func StripHiSilicon(body []byte) ([]byte, bool) {
	if len(body) < hisiliconHeader || body[0] != 0 || body[1] != 1 {
		return body, false
	}
	if words := int(binary.LittleEndian.Uint16(body[2:])); words != (len(body)-hisiliconHeader)/2 {
		return body, false
	}
	return body[hisiliconHeader:], true
}

// AppendHiSilicon appends the header for a payload of so many bytes, for a vehicle that sends it and so expects it.
func AppendHiSilicon(dst []byte, payload int) []byte {
	return binary.LittleEndian.AppendUint16(append(dst, 0, 1), uint16(payload/2))
}
