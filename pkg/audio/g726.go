package audio

import "math/bits"

// ITU-T G.726 (12/1990), clauses 2 to 4: ADPCM at 16, 24, 32 and 40 kbit/s, two to five bits for a sample of 8 kHz.
// The names of its blocks and signals are kept (in capitals in the comments).

// g726Rate is what the four rates differ in. Codes are a sign and a magnitude; negative codes are the complements of
// positive ones, so the tables are by magnitude.
type g726Rate struct {
	bits      int
	decisions []int16 // QUAN: upper ends of the intervals of DLN (tables 7 to 10)
	levels    []int16 // RECONST: DQLN (tables 11 to 14)
	w         []int16 // FUNCTW: WI
	f         []int16 // FUNCTF: FI
}

// noLevel is RECONST's -2048: the output is 0 at whatever scale.
const noLevel = -2048

var g726Rates = [...]g726Rate{
	{
		bits: 2, decisions: []int16{260}, levels: []int16{116, 365}, w: []int16{-22, 439}, f: []int16{0, 7},
	}, {
		bits: 3, decisions: []int16{7, 217, 330}, levels: []int16{noLevel, 135, 273, 373}, w: []int16{-4, 30, 137, 582},
		f: []int16{0, 1, 2, 7},
	}, {
		bits: 4, decisions: []int16{-125, 79, 177, 245, 299, 348, 399},
		levels: []int16{noLevel, 4, 135, 213, 273, 323, 373, 425}, w: []int16{-12, 18, 41, 64, 112, 198, 355, 1122},
		f: []int16{0, 0, 0, 1, 1, 1, 3, 7},
	}, {
		bits: 5, decisions: []int16{-122, -16, 67, 138, 197, 249, 297, 338, 377, 412, 444, 474, 501, 527, 552},
		levels: []int16{noLevel, -66, 28, 104, 169, 224, 274, 318, 358, 395, 429, 459, 488, 514, 539, 566},
		w:      []int16{14, 14, 24, 39, 40, 41, 58, 100, 141, 179, 219, 280, 358, 440, 529, 696},
		f:      []int16{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6},
	},
}

// g726Float is the predictor's number format: sign, four bits of exponent, six of mantissa (FLOATA, FLOATB).
type g726Float struct {
	mantissa int32 // 32 to 63
	exponent int32
	sign     int32 // 0 or -1
}

func makeG726Float(x int32) g726Float {
	sign := x >> 31
	magnitude := (x ^ sign) - sign
	if magnitude == 0 {
		return g726Float{mantissa: 32, sign: sign}
	}
	exponent := int32(bits.Len16(uint16(magnitude)))
	return g726Float{mantissa: magnitude << 6 >> exponent, exponent: exponent, sign: sign}
}

// multiply is FMULT: a predictor coefficient times a signal, each with six bits of precision.
func (x g726Float) multiply(coefficient int32) int32 {
	c := makeG726Float(coefficient >> 2)
	product := (c.mantissa*x.mantissa + 48) >> 4 << 7
	shift := c.exponent + x.exponent - 26
	if shift <= 0 {
		product >>= -shift
	} else {
		product = product << shift & 0x7fff
	}
	sign := c.sign ^ x.sign
	return (product ^ sign) - sign
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
	s := g726State{rate: &g726Rates[bits-2], pk: [2]int32{1, 1}, yu: 544, yl: 34816, y: 544}
	for i := range s.sr {
		s.sr[i].mantissa = 32
	}
	for i := range s.dq {
		s.dq[i].mantissa = 32
	}
	return s
}

// decode takes one code, whose upper bits may be anything, and returns the sample in 16 bits (the recommendation's 14,
// left-justified). Where that does not fit it saturates; FFmpeg wraps around.
func (s *g726State) decode(code byte) int16 {
	negative := code>>(s.rate.bits-1)&1 != 0
	if negative {
		code = ^code
	}
	magnitude := code & (1<<(s.rate.bits-1) - 1)

	// RECONST, ADDA, ANTILOG
	var dq int32
	if dql := int32(s.rate.levels[magnitude]) + s.y>>2; dql >= 0 {
		dq = (128 + dql&127) << (dql >> 7 & 15) >> 7
	}
	// TRANS: is this the end of a tone (of a modem's signal)?
	ylint, ylfrac := s.yl>>15, s.yl>>10&31
	threshold := int32(31 << 10)
	if ylint <= 9 {
		threshold = (32 + ylfrac) << ylint
	}
	transition := s.td && dq > threshold*3>>2
	if negative {
		dq = -dq
	}
	sr := int32(int16(s.se + dq)) // ADDB

	s.residual += int64(dq) * int64(dq)
	s.adaptPredictor(dq, negative, transition)
	s.sr[1], s.sr[0] = s.sr[0], makeG726Float(sr)
	copy(s.dq[1:], s.dq[:5])
	s.dq[0] = makeG726Float(dq)
	s.dq[0].sign = 0
	if negative { // also where dq is 0
		s.dq[0].sign = -1
	}
	s.td = s.a[1] < -11776 // TONE
	s.adaptScale(magnitude, transition)
	s.predict()
	return clamp16(sr << 2)
}

// adaptPredictor is UPA1, UPA2, UPB with their limits, and TRIGB.
func (s *g726State) adaptPredictor(dq int32, negative, transition bool) {
	pk0 := sign(s.sez + dq) // ADDC, with SIGPK
	if transition {
		s.a, s.b = [2]int32{}, [6]int32{}
	} else {
		feedback := -s.a[0] * s.pk[0] * pk0 >> 5
		feedback = min(max(feedback, -256), 255)
		s.a[1] += 128*pk0*s.pk[1] + feedback - s.a[1]>>7
		s.a[1] = min(max(s.a[1], -12288), 12288)
		s.a[0] += 192*pk0*s.pk[0] - s.a[0]>>8
		s.a[0] = min(max(s.a[0], s.a[1]-15360), 15360-s.a[1])
		gain := 128 * sign(dq)
		for i := range s.b {
			s.b[i] += (gain ^ s.dq[i].sign) - s.dq[i].sign - s.b[i]>>8
		}
	}
	s.pk[1], s.pk[0] = s.pk[0], pk0
	if pk0 == 0 {
		s.pk[0] = 1
	}
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

// predict is FMULT and ACCUM: the estimate of the next sample.
func (s *g726State) predict() {
	var sum int32
	for i := range s.dq {
		sum += s.dq[i].multiply(s.b[i])
	}
	s.sez = sum >> 1
	sum += s.sr[0].multiply(s.a[0]) + s.sr[1].multiply(s.a[1])
	s.se = sum >> 1
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
