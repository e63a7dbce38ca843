package media

import "bytes"

// MaxNALUs is how many NAL units of one access unit are looked at. Cameras that cut a picture into slices send fewer
// than 50.
const MaxNALUs = 128

var startCode = []byte{0, 0, 1}

// AppendNALUs splits an access unit in the byte stream format (ITU-T H.264 and H.265, annex B) and appends its NAL
// units to dst, without their start codes of 3 or 4 bytes and without the zeros that may trail them. They alias
// accessUnit and are never empty. What stands before the first start code and after MaxNALUs units is left out.
func AppendNALUs(dst [][]byte, accessUnit []byte) [][]byte {
	rest := afterStartCode(accessUnit)
	for n := 0; n < MaxNALUs && len(rest) > 0; {
		nalu := rest
		if end := bytes.Index(rest, startCode); end >= 0 {
			nalu, rest = rest[:end], rest[end+len(startCode):]
		} else {
			rest = nil
		}
		if nalu = bytes.TrimRight(nalu, "\x00"); len(nalu) > 0 {
			dst = append(dst, nalu)
			n++
		}
	}
	return dst
}

// AppendHead is AppendNALUs as far as the first slice. The slice's end is not searched for, so the last unit carries
// the whole rest of the access unit: everything that can be told of a picture without reading it, at a cost that does
// not grow with it. The codec is what the NAL units themselves show, or else hint: what the stream had so far, or the vehicle's word.
func AppendHead(dst [][]byte, accessUnit []byte, hint Codec) ([][]byte, Codec) {
	codec, known := hint, false
	rest := afterStartCode(accessUnit)
	for n := 0; n < MaxNALUs && len(rest) > 0; n++ {
		if c := sniffNALU(rest); c != CodecUnknown && !known {
			codec, known = c, true
		}
		if isSlice(codec, rest[0]) {
			return append(dst, rest), codec
		}
		nalu := rest
		if end := bytes.Index(rest, startCode); end >= 0 {
			nalu, rest = rest[:end], rest[end+len(startCode):]
		} else {
			rest = nil
		}
		if nalu = bytes.TrimRight(nalu, "\x00"); len(nalu) > 0 {
			dst = append(dst, nalu)
		}
	}
	return dst, codec
}

// ContainsPicture reports whether one of the NAL units is a coded slice.
func ContainsPicture(codec Codec, nalus [][]byte) bool {
	for _, nalu := range nalus {
		if isSlice(codec, nalu[0]) {
			return true
		}
	}
	return false
}

// ContainsKey reports whether a decoder can start with this access unit: an IDR picture of H.264, or an intra random
// access point of H.265. Other codecs are not looked into.
func ContainsKey(codec Codec, nalus [][]byte) bool {
	for _, nalu := range nalus {
		switch codec {
		case CodecH264:
			if h264Type(nalu[0]) == h264IDR {
				return true
			}
		case CodecH265:
			if t := h265Type(nalu[0]); t >= h265BLA && t <= h265CRA {
				return true
			}
		}
	}
	return false
}

// ContainsParameterSets reports whether a decoder of this codec finds among the NAL units every set that it needs.
func ContainsParameterSets(codec Codec, nalus [][]byte) bool {
	var found [3]bool
	for _, nalu := range nalus {
		if kind := kindOfSet(codec, nalu[0]); kind != notASet {
			found[kind] = true
		}
	}
	return found[kindSPS] && found[kindPPS] && (found[kindVPS] || codec != CodecH265)
}

func afterStartCode(accessUnit []byte) []byte {
	start := bytes.Index(accessUnit, startCode)
	if start < 0 {
		return nil
	}
	return accessUnit[start+len(startCode):]
}

// NAL unit types: ITU-T H.264 table 7-1, H.265 table 7-1.
const (
	h264Slice = 1
	h264IDR   = 5
	h264SPS   = 7
	h264PPS   = 8

	h265LastSlice = 31 // 0 to 31 are slices of pictures, in use or reserved
	h265BLA       = 16
	h265CRA       = 21
	h265VPS       = 32
	h265SPS       = 33
	h265PPS       = 34
)

func h264Type(header byte) byte { return header & 0x1f }

func h265Type(header byte) byte { return header >> 1 & 0x3f }

func isSlice(codec Codec, header byte) bool {
	if codec == CodecH265 {
		return h265Type(header) <= h265LastSlice && header&1 == 0 // odd: layer 32 or above, or not H.265 at all
	}
	t := h264Type(header)
	return t >= h264Slice && t <= h264IDR
}

// sniffNALU tells H.264 from H.265 where a NAL unit leaves no doubt. The telling types of H.264 (slice 1, IDR 5, SPS
// 7) are odd; an odd first byte in H.265 would be a layer from 32 up, which no camera sends. H.265's second byte is
// layer 0, temporal layer 0, that is 1; the H.264 units that its first byte would then be (types 0, 2, 4, a SEI that is
// referred to, …) are not in use, and none of them is followed by 1.
func sniffNALU(nalu []byte) Codec {
	if len(nalu) < 2 || nalu[0]&0x80 != 0 {
		return CodecUnknown
	}
	if nalu[0]&1 == 1 {
		switch h264Type(nalu[0]) {
		case h264Slice, h264IDR, h264SPS:
			return CodecH264
		}
		return CodecUnknown
	}
	if nalu[1] == 1 {
		switch t := h265Type(nalu[0]); {
		case t <= 1, t >= h265BLA && t <= h265CRA, t >= h265VPS && t <= h265PPS:
			return CodecH265
		}
	}
	return CodecUnknown
}
