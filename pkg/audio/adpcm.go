package audio

import (
	"encoding/binary"
	"math"

	"multi_process_server/pkg/jt1078"
)

// adpcmState is the length of what stands before a block's nibbles: predictor (16 bits), index, a reserved byte.
const adpcmState = 4

// adpcmDecoder decodes IMA ADPCM as vehicles send it (payload type 26) and DVI4 (10 to 13, RFC 3551 clause 4.5.1).
// A packet is a block with the coder's state before it, or, from some vehicles, bare nibbles that go on from the last.
//
// Nothing says which nibble of a byte comes first. Where blocks have a state, it shows: read in the right order a block
// ends where the next begins, in the wrong one it ends elsewhere. Bare nibbles read in the wrong order wander off, so
// that the louder reading is the wrong one.
type adpcmDecoder struct {
	rate    int
	dvi4    bool
	bare    bool // a packet came that cannot begin with a state
	order   Order
	vote    vote        // for high first
	states  [2]imaState // where the last packet ended, read high first and low first
	scratch []int16
	started bool // states are set
	pace    pace
	fixed   bool // the rate is known
}

func newADPCMDecoder(opts DecoderOptions) *adpcmDecoder {
	return &adpcmDecoder{rate: rateOr(opts.SampleRate, 8000), fixed: true, order: opts.Order}
}

// newDVI4Decoder takes the rates from RTP's audio profile (RFC 3551 table 4), from which table 12's names descend: its
// types 5, 6, 16 and 17 are DVI4 at 8,000, 16,000, 11,025 and 22,050 Hz. Timestamps overrule them.
func newDVI4Decoder(payloadType jt1078.PayloadType, opts DecoderOptions) *adpcmDecoder {
	usual := 8000
	switch payloadType {
	case jt1078.PayloadDVI4x3:
		usual = 11025
	case jt1078.PayloadDVI4x4:
		usual = 22050
	case jt1078.PayloadDVI4x16K:
		usual = 16000
	}
	return &adpcmDecoder{rate: rateOr(opts.SampleRate, usual), fixed: opts.SampleRate > 0, dvi4: true, order: opts.Order}
}

func (d *adpcmDecoder) sampleRate() int { return d.rate }

func (d *adpcmDecoder) observe(timestamp uint64, length int) {
	if d.fixed {
		return
	}
	if perSecond, ok := d.pace.add(timestamp, length-adpcmState); ok {
		d.rate, d.fixed = usualRate(2*perSecond, d.rate)
	}
}

func (d *adpcmDecoder) decodePayload(dst []int16, body []byte) []int16 {
	state, ok := d.state(body)
	table := imaReference // bare nibbles go on for ever, and so would a difference from the encoder's arithmetic
	if ok {
		body = body[adpcmState:]
		if !d.dvi4 {
			table = imaProduct
		}
		if d.started && d.undecided() {
			d.vote.add(math.Log(d.states[1].distance(state) / d.states[0].distance(state)))
		}
		d.states = [2]imaState{state, state}
	}
	d.started = true
	if !d.undecided() {
		d.states[0] = d.states[d.leader()]
		dst = d.states[0].decodeBytes(dst, table, body, d.currentOrder())
		d.states[1] = d.states[0]
		return dst
	}
	start := len(dst)
	high := d.states[0].decodeBytes(dst, table, body, OrderHighFirst)
	d.scratch = d.states[1].decodeBytes(d.scratch[:0], table, body, OrderLowFirst)
	if !ok {
		h, l := energy(high[start:]), energy(d.scratch)
		d.vote.add(math.Log(l / h))
	}
	if d.leader() == 1 {
		copy(high[start:], d.scratch)
	}
	return high
}

// state reads what stands before the nibbles, if anything does. RFC 3551 always has one; else the index shows it, the
// reserved byte, and the length: vehicles send whole tens of milliseconds at 8 kHz, 40 bytes each.
func (d *adpcmDecoder) state(body []byte) (imaState, bool) {
	const unit = 40
	if len(body) < adpcmState || body[2] > byte(imaMaxIndex) {
		d.bare = true
		return imaState{}, false
	}
	state := imaState{predictor: int16(binary.LittleEndian.Uint16(body)), index: int8(body[2])}
	switch {
	case d.dvi4:
		state.predictor = int16(binary.BigEndian.Uint16(body))
		return state, true
	case len(body)%unit == adpcmState:
		return state, true
	case len(body)%unit == 0:
		return imaState{}, false
	case d.bare || body[3] != 0:
		d.bare = true
		return imaState{}, false
	}
	return state, true
}

func (d *adpcmDecoder) undecided() bool { return d.order == OrderDetect && !d.vote.closed }

// leader is 0 where nibbles are read high first, else 1.
func (d *adpcmDecoder) leader() int {
	if d.currentOrder() == OrderLowFirst {
		return 1
	}
	return 0
}

func (d *adpcmDecoder) currentOrder() Order {
	switch {
	case d.order != OrderDetect:
		return d.order
	case d.vote.other():
		return OrderLowFirst
	}
	return OrderHighFirst
}

// distance is how far two states are apart, never 0. A step of the index counts as a few hundred of the predictor:
// it makes for as much within some samples.
func (s imaState) distance(t imaState) float64 {
	predictor, index := float64(s.predictor)-float64(t.predictor), float64(s.index-t.index)
	return math.Abs(predictor) + 256*math.Abs(index) + 32
}

// energy is a signal's mean square, never 0.
func energy(pcm []int16) float64 {
	var sum int64
	for _, s := range pcm {
		sum += int64(s) * int64(s)
	}
	return float64(sum)/float64(max(len(pcm), 1)) + 256
}
