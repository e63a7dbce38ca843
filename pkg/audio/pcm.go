package audio

import (
	"encoding/binary"
	"math"

	"multi_process_server/pkg/jt1078"
)

// pcmDecoder takes 16-bit PCM: S16BE_STEREO and S16BE_MONO (payload types 15 and 16), LPCM (18), PCM_VOICE and
// PCM_AUDIO (22 and 23). The first two say which byte comes first, the others are little-endian in what vehicles have
// inside; neither is relied on. Table 12 tells no rate; 8 kHz is what vehicles have, and timestamps overrule it.
type pcmDecoder struct {
	channels int
	rate     int
	fixed    bool // the rate is known
	usual    Order
	order    Order
	vote     vote // for the usual order
	pace     pace
}

func newPCMDecoder(payloadType jt1078.PayloadType, opts DecoderOptions) *pcmDecoder {
	d := &pcmDecoder{
		channels: 1, rate: rateOr(opts.SampleRate, 8000), fixed: opts.SampleRate > 0,
		usual: OrderLowFirst, order: opts.Order,
	}
	switch payloadType {
	case jt1078.PayloadS16BEStereo:
		d.channels, d.usual = 2, OrderHighFirst
	case jt1078.PayloadS16BEMono:
		d.usual = OrderHighFirst
	}
	return d
}

func (d *pcmDecoder) sampleRate() int { return d.rate }

func (d *pcmDecoder) observe(timestamp uint64, length int) {
	if d.fixed {
		return
	}
	if perSecond, ok := d.pace.add(timestamp, length); ok {
		d.rate, d.fixed = usualRate(perSecond/float64(2*d.channels), d.rate)
	}
}

// usualRate is the rate that a measured one is near to, or else the one that was taken so far. The nearest two of them,
// 44,100 and 48,000 Hz, are 9 % apart.
func usualRate(measured float64, soFar int) (rate int, found bool) {
	for _, rate := range [...]int{8000, 11025, 16000, 22050, 32000, 44100, 48000} {
		if near(measured, float64(rate), 0.04) {
			return rate, true
		}
	}
	return soFar, false
}

func (d *pcmDecoder) decodePayload(dst []int16, body []byte) []int16 {
	body = body[:len(body)-len(body)%(2*d.channels)]
	order := d.order
	if order == OrderDetect {
		order = d.detect(body)
	}
	if order == OrderHighFirst {
		for i := 0; i+1 < len(body); i += 2 {
			dst = append(dst, int16(binary.BigEndian.Uint16(body[i:])))
		}
		return dst
	}
	for i := 0; i+1 < len(body); i += 2 {
		dst = append(dst, int16(binary.LittleEndian.Uint16(body[i:])))
	}
	return dst
}

// detect judges by how much neighbours differ: in the wrong order the low byte, which is noise, is the high one.
func (d *pcmDecoder) detect(body []byte) Order {
	if !d.vote.closed {
		var big, little int
		frame := 2 * d.channels
		for i := frame; i+1 < len(body); i += 2 {
			b := int(int16(binary.BigEndian.Uint16(body[i:]))) - int(int16(binary.BigEndian.Uint16(body[i-frame:])))
			l := int(int16(binary.LittleEndian.Uint16(body[i:]))) - int(int16(binary.LittleEndian.Uint16(body[i-frame:])))
			big, little = big+max(b, -b), little+max(l, -l)
		}
		if big != little { // silence is alike in both
			score := math.Log(float64(big+1) / float64(little+1)) // above 0: little-endian is the smoother
			if d.usual == OrderHighFirst {
				score = -score
			}
			d.vote.add(score)
		}
	}
	switch {
	case !d.vote.other():
		return d.usual
	case d.usual == OrderHighFirst:
		return OrderLowFirst
	}
	return OrderHighFirst
}
