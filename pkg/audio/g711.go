package audio

import "math/bits"

// ITU-T G.711: each octet is a sign, a segment of three bits and four bits within the segment. A-law's even bits are
// inverted on the line (0x55), all of µ-law's are.

var (
	alawTable = g711Table(alawSample)
	ulawTable = g711Table(ulawSample)
)

func g711Table(sample func(byte) int16) (table [256]int16) {
	for i := range table {
		table[i] = sample(byte(i))
	}
	return table
}

// alawSample is G.711 table 1: 13-bit samples, left-justified in 16, in the middle of their interval.
func alawSample(code byte) int16 {
	code ^= 0x55
	sample, segment := int16(code&0x0f)<<4|8, code>>4&7
	if segment > 0 {
		sample = (sample | 0x100) << (segment - 1)
	}
	if code&0x80 == 0 {
		return -sample
	}
	return sample
}

// ulawBias is what µ-law adds to a magnitude so that segments begin at powers of two: 33 of 14 bits, in 16.
const ulawBias = 33 << 2

// ulawSample is G.711 table 2: 14-bit samples, left-justified in 16.
func ulawSample(code byte) int16 {
	code = ^code
	sample := (int16(code&0x0f)<<3 + ulawBias) << (code >> 4 & 7)
	if code&0x80 != 0 {
		return ulawBias - sample
	}
	return sample - ulawBias
}

// DecodeALaw appends the samples of A-law octets to dst.
func DecodeALaw(dst []int16, body []byte) []int16 {
	for _, code := range body {
		dst = append(dst, alawTable[code])
	}
	return dst
}

// DecodeULaw appends the samples of µ-law octets to dst.
func DecodeULaw(dst []int16, body []byte) []int16 {
	for _, code := range body {
		dst = append(dst, ulawTable[code])
	}
	return dst
}

// EncodeALaw appends one octet for every sample to dst.
func EncodeALaw(dst []byte, pcm []int16) []byte {
	for _, sample := range pcm {
		mask, magnitude := byte(0xd5), int(sample)>>4
		if sample < 0 {
			mask, magnitude = 0x55, ^magnitude // G.711 has no zero: 0 and -1 are neighbours
		}
		code := byte(magnitude)
		if segment := bits.Len16(uint16(magnitude)) - 5; segment > 0 { // 12 bits of magnitude, 5 significant
			code = byte(segment)<<4 + byte(magnitude>>segment) // the leading one, 0x10, adds the segment's first
		}
		dst = append(dst, code^mask)
	}
	return dst
}

// EncodeULaw appends one octet for every sample to dst.
func EncodeULaw(dst []byte, pcm []int16) []byte {
	for _, sample := range pcm {
		mask, magnitude := byte(0xff), int(sample)
		if sample < 0 {
			mask, magnitude = 0x7f, ^magnitude // as in A-law
		}
		magnitude = min(magnitude, 0x7fff-ulawBias) + ulawBias
		segment := bits.Len16(uint16(magnitude)) - 8
		dst = append(dst, (byte(segment)<<4|byte(magnitude>>(segment+3))&0x0f)^mask)
	}
	return dst
}

type g711Decoder struct {
	decode func(dst []int16, body []byte) []int16
	rate   int
}

func (d *g711Decoder) decodePayload(dst []int16, body []byte) []int16 { return d.decode(dst, body) }

func (d *g711Decoder) sampleRate() int { return d.rate }
