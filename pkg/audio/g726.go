package audio

import (
	"math"
	"math/bits"
)

// ITU-T G.726 (12/1990), clauses 2 to 4: ADPCM at 16, 24, 32 and 40 kbit/s, two to five bits for a sample of 8 kHz.
// The names of its blocks and signals are kept (in capitals in the comments).

// g726Rate is what the four rates differ in. Codes are a sign and a magnitude; negative codes are the complements of
// positive ones, so the tables are by magnitude.
type g726Rate struct {
	bits      uint
	decisions []int16   // QUAN: upper ends of the intervals of DLN (tables 7 to 10)
	levels    [16]int16 // RECONST: DQLN (tables 11 to 14)
	w         [16]int16 // FUNCTW: WI
	f         [16]int16 // FUNCTF: FI
}

// noLevel is RECONST's -2048: the output is 0 at whatever scale.
const noLevel = -2048

var g726Rates = [...]g726Rate{
	{
		bits: 2, decisions: []int16{260}, levels: [16]int16{116, 365}, w: [16]int16{-22, 439}, f: [16]int16{0, 7},
	}, {
		bits: 3, decisions: []int16{7, 217, 330}, levels: [16]int16{noLevel, 135, 273, 373}, w: [16]int16{-4, 30, 137, 582},
		f: [16]int16{0, 1, 2, 7},
	}, {
		bits: 4, decisions: []int16{-125, 79, 177, 245, 299, 348, 399},
		levels: [16]int16{noLevel, 4, 135, 213, 273, 323, 373, 425}, w: [16]int16{-12, 18, 41, 64, 112, 198, 355, 1122},
		f: [16]int16{0, 0, 0, 1, 1, 1, 3, 7},
	}, {
		bits: 5, decisions: []int16{-122, -16, 67, 138, 197, 249, 297, 338, 377, 412, 444, 474, 501, 527, 552},
		levels: [16]int16{noLevel, -66, 28, 104, 169, 224, 274, 318, 358, 395, 429, 459, 488, 514, 539, 566},
		w:      [16]int16{14, 14, 24, 39, 40, 41, 58, 100, 141, 179, 219, 280, 358, 440, 529, 696},
		f:      [16]int16{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6},
	},
}

// g726Float is the predictor's number format (FLOATA, FLOATB), laid out for multiply: six bits of mantissa (32 to 63),
// from bit 8 g726Shift less four bits of exponent, in bit 31 the sign.
type g726Float uint32

// g726Shift is by how much FMULT shifts a product right, 26, for two exponents of 0; 2 more, for what can be -2; and
// 126 more, what a float32's exponent has on FLOATA's.
const g726Shift = 26 + 2 + 126

// g726Zero is 0, as at the start.
const g726Zero g726Float = g726Shift<<8 | 32

// makeG726Float takes the hardware's way to an exponent and a mantissa; that of 0 comes out as FLOATA wants it too.
func makeG726Float(x int32, negative bool) g726Float {
	f := math.Float32bits(float32(x))
	result := g726Float((g726Shift+126-max(f>>23&255, 126))<<8 | f>>18&31 | 32)
	if negative {
		result |= 1 << 31
	}
	return result
}

// multiply is FMULT: a coefficient times a signal, each with six bits of precision. Bits fall off at the top only where
// the exponents together are more than 26.
func multiply(coefficient int32, x g726Float) int32 {
	f := math.Float32bits(float32(coefficient >> 2))
	product := ((f>>18&31|32)*uint32(x&63) + 48) >> 4 << 9
	magnitude := int32(product >> ((uint32(x>>8) - max(f>>23&255, 126)) & 31) & 0x7fff)
	sign := (coefficient ^ int32(x)) >> 31
	return (magnitude ^ sign) - sign
}

// g726State is what encoder and decoder keep from one sample to the next, alike on both sides. Zero is not its start;
// newG726State is.
type g726State struct {
	rate     *g726Rate
	a        [2]int32     // A1, A2: the predictor's poles
	b        [6]int32     // B1 to B6: its zeros
	sr       [2]g726Float // reconstructed signal
	dq       [6]g726Float // quantized difference
	pk       [2]int32     // signs of SEZ + DQ, 1 or -1
	yu, yl   int32        // fast and slow scale factors
	y        int32        // scale factor in use
	dms, dml int32        // short and long averages of FI
	ap       int32        // speed control
	td       bool         // a tone is there
	se, sez  int32        // signal estimate, and the zeros' part of it
	residual int64        // energy of DQ since the packet's begin
}

// newG726State is the reset state (table 20). The rate is 2 to 5 bits a sample.
func newG726State(bits int) g726State {
	return g726State{
		rate: &g726Rates[bits-2], pk: [2]int32{1, 1}, yu: 544, yl: 34816, y: 544,
		sr: [2]g726Float{g726Zero, g726Zero},
		dq: [6]g726Float{g726Zero, g726Zero, g726Zero, g726Zero, g726Zero, g726Zero},
	}
}

// decode takes one code, whose upper bits may be anything, and returns the sample in 16 bits (the recommendation's 14,
// left-justified). Where that does not fit it saturates; FFmpeg wraps around.
func (s *g726State) decode(code byte) int16 {
	rate := s.rate
	sign := -int32(code >> (rate.bits - 1) & 1)
	magnitude := (code ^ byte(sign)) & (1<<(rate.bits-1) - 1) & 15

	// RECONST, ADDA, ANTILOG
	var dq int32
	if dql := int32(rate.levels[magnitude]) + s.y>>2; dql >= 0 {
		dq = (128 + dql&127) << (dql >> 7 & 15) >> 7
	}
	// TRANS: is this the end of a tone (of a modem's signal)?
	ylint, ylfrac := s.yl>>15, s.yl>>10&31
	threshold := int32(31 << 10)
	if ylint <= 9 {
		threshold = (32 + ylfrac) << (ylint & 15)
	}
	transition := s.td && dq > threshold*3>>2

	s.residual += int64(dq) * int64(dq)
	dq = (dq ^ sign) - sign
	sr := int32(int16(s.se + dq)) // ADDB

	s.adaptPoles(dq, transition)
	s.td = s.a[1] < -11776 // TONE
	s.adaptScale(magnitude, transition)
	zeros := s.adaptZeros(dq, makeG726Float(dq, sign < 0), transition) // the code's sign, also where DQ is 0
	s.sr[1], s.sr[0] = s.sr[0], makeG726Float(sr, sr < 0)
	s.sez = zeros >> 1
	s.se = (zeros + multiply(s.a[0], s.sr[0]) + multiply(s.a[1], s.sr[1])) >> 1 // ACCUM
	return clamp16(sr << 2)
}

// adaptPoles is ADDC, UPA1 and UPA2 with their limits, and TRIGB.
func (s *g726State) adaptPoles(dq int32, transition bool) {
	pk0 := sign(s.sez + dq)
	if transition {
		s.a = [2]int32{}
	} else {
		feedback := -s.a[0] * s.pk[0] * pk0 >> 5
		feedback = min(max(feedback, -256), 255)
		a2 := s.a[1] + 128*pk0*s.pk[1] + feedback - s.a[1]>>7
		a2 = min(max(a2, -12288), 12288)
		a1 := s.a[0] + 192*pk0*s.pk[0] - s.a[0]>>8
		s.a = [2]int32{min(max(a1, a2-15360), 15360-a2), a2}
	}
	s.pk[1], s.pk[0] = s.pk[0], pk0
	if pk0 == 0 {
		s.pk[0] = 1
	}
}

// adaptZeros is UPB and TRIGB on the six zeros, moves the differences on by one, and returns the zeros' part of the
// next estimate (FMULT, ACCUM): all in one pass, as this is where the time goes.
func (s *g726State) adaptZeros(dq int32, difference g726Float, transition bool) (estimate int32) {
	gain := 128 * sign(dq)
	if transition {
		s.b = [6]int32{}
		gain = 0
	}
	for i := range s.b {
		b, old := s.b[i], s.dq[i]
		sign := int32(old) >> 31
		b += (gain ^ sign) - sign - b>>8
		s.b[i], s.dq[i] = b, difference
		estimate += multiply(b, difference)
		difference = old
	}
	return estimate
}

// adaptScale is FUNCTF, FILTA to FILTC, SUBTC, TRIGA, LIMA, FUNCTW, FILTD, LIMB, FILTE and MIX.
func (s *g726State) adaptScale(magnitude byte, transition bool) {
	fi := int32(s.rate.f[magnitude]) << 4
	s.dms += fi + -s.dms>>5
	s.dml += fi + -s.dml>>7
	if transition {
		s.ap = 256
	} else {
		s.ap += -s.ap >> 4
		if distance := s.dms<<2 - s.dml; s.y <= 1535 || s.td || max(distance, -distance) >= s.dml>>3 {
			s.ap += 32
		}
	}
	s.yu = min(max(s.y+int32(s.rate.w[magnitude])+-s.y>>5, 544), 5120)
	s.yl += s.yu + -s.yl>>6
	al := min(s.ap>>2, 64)
	s.y = (s.yl + (s.yu-s.yl>>6)*al) >> 6
}

// encode finds the code for a 16-bit sample and follows the decoder.
func (s *g726State) encode(sample int16) byte {
	d := int32(sample)>>2 - s.se // SUBTA
	// LOG, SUBTB
	magnitude := max(d, -d)
	exponent := int32(max(bits.Len16(uint16(magnitude))-1, 0))
	dln := exponent<<7 + magnitude<<7>>exponent&127 - s.y>>2
	// QUAN
	var code byte
	for int(code) < len(s.rate.decisions) && int32(s.rate.decisions[code]) < dln {
		code++
	}
	if d < 0 || code == 0 && s.rate.bits > 2 { // the smallest interval has the negative code only: all ones
		code = ^code
	}
	code &= 1<<s.rate.bits - 1
	s.decode(code)
	return code
}

func sign(x int32) int32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
