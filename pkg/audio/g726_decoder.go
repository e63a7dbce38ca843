package audio

import "math"

// g726Decoder decodes G.726 (payload type 8). Neither the rate nor the order of the codes in a byte is in the packet.
//
// The rate is told by the packet's length, as vehicles send 320 samples in one, and by the timestamps where they are
// known and fit: bytes in a second.
//
// The order: RFC 3551 clause 4.5.4 fills bytes from the least significant bit, ITU-T I.366.2 annex E from the most
// significant, and vehicles do either. Both are decoded until one has shown to be wrong: its output is rougher for the
// energy that it has, and at 24 and 40 kbit/s, where codes cross bytes, its scale factor runs away.
type g726Decoder struct {
	bits      int // of a code, 0 before the first packet
	fixed     bool
	order     Order
	vote      vote         // for high first
	states    [2]g726State // read high first and low first
	scratch   []int16
	pace      pace
	timedBits int // what timestamps say, 0: nothing
}

func validG726BitRate(rate int) bool { return rate%8000 == 0 && rate >= 16000 && rate <= 40000 }

func newG726Decoder(opts DecoderOptions) *g726Decoder {
	d := &g726Decoder{order: opts.Order}
	if opts.G726BitRate > 0 {
		d.fixed = true
		d.reset(opts.G726BitRate / 8000)
	}
	return d
}

func (d *g726Decoder) sampleRate() int { return 8000 }

// reset starts anew at another rate; what was learnt about the order at a wrong rate is worth nothing.
func (d *g726Decoder) reset(bits int) {
	d.bits = bits
	d.states = [2]g726State{newG726State(bits), newG726State(bits)}
	d.vote = vote{}
}

func (d *g726Decoder) observe(timestamp uint64, length int) {
	if d.fixed {
		return
	}
	if perSecond, ok := d.pace.add(timestamp, length); ok {
		for bits := 2; bits <= 5; bits++ {
			if near(perSecond, float64(1000*bits), 0.1) {
				d.timedBits = bits
			}
		}
	}
}

// g726BitsByLength is the size of a code in a packet of so many bytes, if that holds 320 samples or another usual
// number; where two fit, the one for 320.
func g726BitsByLength(length int) (bits int, ok bool) {
	for _, samples := range [...]int{320, 160, 640} {
		for bits := 2; bits <= 5; bits++ {
			if length*8 == samples*bits {
				return bits, true
			}
		}
	}
	return 4, false
}

func (d *g726Decoder) decodePayload(dst []int16, body []byte) []int16 {
	if !d.fixed {
		bits, usual := g726BitsByLength(len(body))
		switch {
		case d.timedBits != 0:
			bits = d.timedBits
		case !usual && d.bits != 0: // a last, shorter packet
			bits = d.bits
		}
		if bits != d.bits {
			d.reset(bits)
		}
	}
	switch {
	case d.order == OrderHighFirst, d.order == OrderDetect && d.vote.closed && !d.vote.other():
		return d.states[0].unpackHigh(dst, body)
	case d.order == OrderLowFirst, d.vote.closed:
		return d.states[1].unpackLow(dst, body)
	}
	start := len(dst)
	dst = d.states[0].unpackHigh(dst, body)
	d.scratch = d.states[1].unpackLow(d.scratch[:0], body)
	d.compare(dst[start:], d.scratch)
	if d.vote.other() {
		copy(dst[start:], d.scratch)
	}
	return dst
}

// compare votes on the order. White noise is alike in both and says nothing.
func (d *g726Decoder) compare(high, low []int16) {
	h, loud := roughness(high)
	l, _ := roughness(low)
	if loud {
		d.vote.add(math.Log(l/h) + math.Log(float64(d.states[1].residual+1)/float64(d.states[0].residual+1)))
	}
}

// unpackHigh decodes codes that fill bytes from the most significant bit. What is left of a code at the end is dropped.
func (s *g726State) unpackHigh(dst []int16, body []byte) []int16 {
	s.residual = 0
	size := s.rate.bits
	var held uint32
	var n uint
	for _, c := range body {
		held = held<<8 | uint32(c)
		for n += 8; n >= size; {
			n -= size
			dst = append(dst, s.decode(byte(held>>n)))
		}
	}
	return dst
}

// unpackLow decodes codes that fill bytes from the least significant bit.
func (s *g726State) unpackLow(dst []int16, body []byte) []int16 {
	s.residual = 0
	size := s.rate.bits
	var held uint32
	var n uint
	for _, c := range body {
		held |= uint32(c) << n
		for n += 8; n >= size; n -= size {
			dst = append(dst, s.decode(byte(held)))
			held >>= size
		}
	}
	return dst
}
