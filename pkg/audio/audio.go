// Package audio turns the sound that vehicles send into what players take, and back for talk: decoders of a packet's
// body to 16-bit PCM, encoders from PCM, and the headers of what passes through untouched (AAC, MPEG audio).
//
// It is pure: bytes in, samples out; no I/O, clock or log. Every value belongs to one goroutine. Functions append to
// what the caller hands them and allocate nothing per packet once that has grown.
package audio

import (
	"errors"
	"fmt"

	"multi_process_server/pkg/media"
)

// maxPacket bounds the body of one packet of sound, in bytes. The header's length field ends there, and it is eight
// seconds of G.711 where vehicles send 20 to 120 ms.
const maxPacket = 1 << 16

// Decoder turns the bodies of one vehicle's packets, in order, into PCM. It must be told of every packet: most codecs
// here carry state from one to the next.
type Decoder interface {
	// Decode appends the packet's samples to dst, interleaved where Channels is 2. After an error dst is as it was
	// and the next packet can be decoded.
	Decode(dst []int16, body []byte) ([]int16, error)
	// SampleRate is the rate of what Decode appended last, in Hz. It can change once, when a decoder that is told
	// timestamps (see Timed) finds that the payload type's usual rate is not the vehicle's.
	SampleRate() int
	// Channels is 1 or 2.
	Channels() int
}

// ErrUnsupported is what NewDecoder's and NewEncoder's errors are when the codec is not one of theirs; the text names it.
var ErrUnsupported = errors.New("unsupported audio")

// DecoderOptions is what an operator knows about a vehicle. The zero value finds out by itself.
type DecoderOptions struct {
	// SampleRate in Hz, where it is not the payload type's usual one.
	SampleRate int
}

// NewDecoder returns the decoder for a vehicle's sound. The codec decides; the payload type (JT/T 1078-2016 table 12)
// tells variants of a codec apart. AAC and MPEG audio are not decoded but passed on.
func NewDecoder(codec media.Codec, payloadType uint8, opts DecoderOptions) (Decoder, error) {
	switch codec {
	case media.CodecG711A:
		return &g711{decode: DecodeALaw, rate: rateOr(opts.SampleRate, 8000)}, nil
	case media.CodecG711U:
		return &g711{decode: DecodeULaw, rate: rateOr(opts.SampleRate, 8000)}, nil
	}
	return nil, fmt.Errorf("%w: %s, payload type %d", ErrUnsupported, codec, payloadType)
}

func rateOr(rate, usual int) int {
	if rate > 0 {
		return rate
	}
	return usual
}
