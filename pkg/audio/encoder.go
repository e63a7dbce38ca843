package audio

import (
	"encoding/binary"
	"fmt"

	"multi_process_server/pkg/media"
)

// Encoder makes the bodies of packets that are spoken to a vehicle.
type Encoder interface {
	// Encode appends one packet's body to dst: all of pcm, mono. A whole number of 10 ms fills every codec's last
	// byte; else it is padded.
	Encode(dst []byte, pcm []int16) []byte
	// SampleRate is the rate in Hz that pcm must have.
	SampleRate() int
}

// EncoderOptions is what a vehicle's own packets have shown of how it likes them.
type EncoderOptions struct {
	// HiSilicon puts HiSilicon's header before the samples.
	HiSilicon bool
	// Order of nibbles; OrderDetect is high first.
	Order Order
	// G726BitRate is 16000, 24000, 32000 (also 0) or 40000 bit/s.
	G726BitRate int
}

// NewEncoder returns an encoder for G.711, G.726 or ADPCM at 8 kHz. AAC is NewAACEncoder's.
func NewEncoder(codec media.Codec, payloadType uint8, opts EncoderOptions) (Encoder, error) {
	if err := (DecoderOptions{Order: opts.Order, G726BitRate: opts.G726BitRate}).validate(); err != nil {
		return nil, err
	}
	e := &packetEncoder{hisilicon: opts.HiSilicon}
	switch codec {
	case media.CodecG711A:
		e.encode = EncodeALaw
	case media.CodecG711U:
		e.encode = EncodeULaw
	case media.CodecG726:
		e.encode = newG726Encoder(rateOr(opts.G726BitRate, 32000)/8000, opts.Order)
	case media.CodecADPCM:
		e.encode = newADPCMEncoder(opts.Order)
	default:
		return nil, fmt.Errorf("%w for talk", unsupported(codec, payloadType))
	}
	return e, nil
}

type packetEncoder struct {
	hisilicon bool
	encode    func(dst []byte, pcm []int16) []byte
}

func (e *packetEncoder) Encode(dst []byte, pcm []int16) []byte {
	if !e.hisilicon {
		return e.encode(dst, pcm)
	}
	start := len(dst)
	dst = e.encode(append(dst, 0, 0, 0, 0), pcm)
	AppendHiSilicon(dst[:start], len(dst)-start-hisiliconHeader)
	return dst
}

func (e *packetEncoder) SampleRate() int { return 8000 }

// newADPCMEncoder makes blocks with the state before the nibbles.
func newADPCMEncoder(order Order) func([]byte, []int16) []byte {
	state := new(imaState)
	return func(dst []byte, pcm []int16) []byte {
		dst = append(binary.LittleEndian.AppendUint16(dst, uint16(state.predictor)), byte(state.index), 0)
		for len(pcm) > 0 {
			first, second := state.encode(pcm[0]), byte(0)
			if pcm = pcm[1:]; len(pcm) > 0 {
				second, pcm = state.encode(pcm[0]), pcm[1:]
			}
			if order == OrderLowFirst {
				first, second = second, first
			}
			dst = append(dst, first<<4|second)
		}
		return dst
	}
}

func newG726Encoder(bits int, order Order) func([]byte, []int16) []byte {
	s := newG726State(bits)
	state := &s
	return func(dst []byte, pcm []int16) []byte {
		var held uint32 // n bits that do not fill a byte yet
		n := 0
		for _, sample := range pcm {
			code := uint32(state.encode(sample))
			if order == OrderLowFirst {
				held |= code << n
				if n += bits; n >= 8 {
					dst, held, n = append(dst, byte(held)), held>>8, n-8
				}
				continue
			}
			held = held<<bits | code
			if n += bits; n >= 8 {
				n -= 8
				dst = append(dst, byte(held>>n))
			}
		}
		switch {
		case n == 0:
			return dst
		case order == OrderLowFirst:
			return append(dst, byte(held))
		}
		return append(dst, byte(held<<(8-n)))
	}
}
