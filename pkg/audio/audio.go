// Package audio turns the sound that vehicles send into what players take, and back for talk: decoders of a packet's
// body to 16-bit PCM, encoders from PCM, and the headers of what passes through untouched (AAC, MPEG audio).
//
// It is pure: bytes in, samples out; no I/O, clock or log. Every value belongs to one goroutine. Functions append to
// what the caller hands them and allocate nothing per packet once that has grown.
package audio

import (
	"errors"
	"fmt"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
)

// maxPacket bounds the body of one packet of sound, in bytes. The header's length field ends there, and it is eight
// seconds of G.711 where vehicles send 20 to 120 ms.
const maxPacket = 1 << 16

// Decoder turns the bodies of one vehicle's packets, in order, into PCM. It must be given every packet: most codecs
// here carry state from one to the next.
type Decoder interface {
	// Decode appends the packet's samples to dst, interleaved where Channels is 2. After an error dst is as it was
	// and the next packet can be decoded.
	Decode(dst []int16, body []byte) ([]int16, error)
	// SampleRate is the rate in Hz of what the last Decode appended. It can change once, when a decoder that is told
	// timestamps (see Timed) finds that the payload type's usual rate is not the vehicle's.
	SampleRate() int
	// Channels is 1 or 2.
	Channels() int
}

// Timed is what every Decoder of NewDecoder is besides. At tells the timestamp, in the vehicle's ms, of the packet that
// the next Decode is for: some payload types leave open a rate that only time can tell. Using it is optional.
type Timed interface {
	At(timestamp uint64)
}

// Errors of this package, to be tested for with errors.Is.
var (
	// ErrUnsupported is what NewDecoder and NewEncoder answer to a codec that is not theirs; the text names it.
	ErrUnsupported = errors.New("unsupported audio")
	// ErrOptions is what they answer to settings that cannot be.
	ErrOptions = errors.New("audio settings")
	// ErrTooLong is Decode's answer to a body of more than 64 KiB.
	ErrTooLong = errors.New("audio packet of more than 64 KiB")
)

// Order is which part of a greater unit a vehicle sends first: the nibble (or code) in a byte of ADPCM and G.726, the
// byte in a sample of PCM.
type Order uint8

// Orders. OrderDetect begins with what is usual for the payload type.
const (
	OrderDetect    Order = iota
	OrderHighFirst       // most significant first
	OrderLowFirst        // least significant first
)

// DecoderOptions is what an operator knows about a vehicle. The zero value finds out by itself.
type DecoderOptions struct {
	// SampleRate in Hz, where it is not the payload type's usual one.
	SampleRate int
	// Order of nibbles or bytes.
	Order Order
	// G726BitRate is 16000, 24000, 32000 or 40000 bit/s.
	G726BitRate int
}

func (o DecoderOptions) validate() error {
	if o.SampleRate != 0 && (o.SampleRate < 4000 || o.SampleRate > 96000) {
		return fmt.Errorf("%w: sample rate %d Hz, want 4,000 to 96,000, or 0 to detect it", ErrOptions, o.SampleRate)
	}
	if o.Order > OrderLowFirst {
		return fmt.Errorf("%w: there is no order %d", ErrOptions, o.Order)
	}
	if o.G726BitRate != 0 && !validG726BitRate(o.G726BitRate) {
		return fmt.Errorf("%w: G.726 at %d bit/s, want 16000, 24000, 32000 or 40000, or 0 to detect it", ErrOptions, o.G726BitRate)
	}
	return nil
}

// NewDecoder returns the decoder for a vehicle's sound. The codec decides; the payload type (JT/T 1078-2016 table 12)
// tells variants of a codec apart. AAC and MPEG audio are not decoded but passed on, see AACParser and MPEGAudioHeader.
func NewDecoder(codec media.Codec, payloadType uint8, opts DecoderOptions) (Decoder, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	d := &packetDecoder{channels: 1}
	switch codec {
	case media.CodecG711A:
		d.decoder = &g711Decoder{decode: DecodeALaw, rate: rateOr(opts.SampleRate, 8000)}
	case media.CodecG711U:
		d.decoder = &g711Decoder{decode: DecodeULaw, rate: rateOr(opts.SampleRate, 8000)}
	case media.CodecG726:
		d.decoder = newG726Decoder(opts)
	case media.CodecADPCM:
		d.decoder = newADPCMDecoder(opts)
	case media.CodecDVI4:
		d.decoder = newDVI4Decoder(jt1078.PayloadType(payloadType), opts)
	case media.CodecLPCM, media.CodecPCM:
		pcm := newPCMDecoder(jt1078.PayloadType(payloadType), opts)
		d.decoder, d.channels = pcm, pcm.channels
	default:
		return nil, unsupported(codec, payloadType)
	}
	return d, nil
}

// unsupported names what the vehicle says it sends, rather than the collective codec.
func unsupported(codec media.Codec, payloadType uint8) error {
	if codec == media.CodecUnsupportedAudio || codec == media.CodecUnknown {
		return fmt.Errorf("%w: %s (payload type %d)", ErrUnsupported, jt1078.PayloadType(payloadType), payloadType)
	}
	return fmt.Errorf("%w: %s is not decoded (payload type %d)", ErrUnsupported, codec, payloadType)
}

// payloadDecoder is a codec's part of a Decoder: the body is not empty, of bounded length, and without HiSilicon's
// header.
type payloadDecoder interface {
	decodePayload(dst []int16, body []byte) []int16
	sampleRate() int
}

// paced is a payloadDecoder that wants to know how much arrives in a second.
type paced interface {
	observe(timestamp uint64, length int)
}

// packetDecoder is what all codecs have in common.
type packetDecoder struct {
	decoder   payloadDecoder
	channels  int
	timestamp uint64
	timed     bool // timestamp is for the next packet
}

func (d *packetDecoder) Decode(dst []int16, body []byte) ([]int16, error) {
	timed := d.timed
	d.timed = false
	if len(body) > maxPacket {
		return dst, ErrTooLong
	}
	body, _ = StripHiSilicon(body)
	if len(body) == 0 {
		return dst, nil
	}
	if timed {
		if p, ok := d.decoder.(paced); ok {
			p.observe(d.timestamp, len(body))
		}
	}
	return d.decoder.decodePayload(dst, body), nil
}

func (d *packetDecoder) At(timestamp uint64) { d.timestamp, d.timed = timestamp, true }

func (d *packetDecoder) SampleRate() int { return d.decoder.sampleRate() }

func (d *packetDecoder) Channels() int { return d.channels }

func rateOr(rate, usual int) int {
	if rate > 0 {
		return rate
	}
	return usual
}
