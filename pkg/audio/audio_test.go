package audio

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"multi_process_server/pkg/media"
)

func TestUnsupportedAudioIsNamed(t *testing.T) {
	for payloadType, name := range map[uint8]string{
		1: "G.721", 2: "G.722", 3: "G.723", 4: "G.728", 5: "G.729", 9: "G.729A", 14: "LPC", 20: "WMA9STD", 28: "AMR", 120: "120",
	} {
		_, err := NewDecoder(media.CodecUnsupportedAudio, payloadType, DecoderOptions{})
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("payload type %d: %v", payloadType, err)
		}
		if _, err = NewEncoder(media.CodecUnsupportedAudio, payloadType, EncoderOptions{}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("payload type %d, encoder: %v", payloadType, err)
		}
	}
	for codec, name := range map[media.Codec]string{media.CodecAAC: "AAC", media.CodecMPEGAudio: "MPEG audio", media.CodecH264: "H.264"} {
		if _, err := NewDecoder(codec, 19, DecoderOptions{}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, opts := range []DecoderOptions{{SampleRate: -1}, {SampleRate: 1}, {SampleRate: 1 << 30}, {Order: 3}, {G726BitRate: 33000}, {G726BitRate: 48000}} {
		if _, err := NewDecoder(media.CodecG726, 8, opts); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if _, err := NewEncoder(media.CodecG726, 8, EncoderOptions{G726BitRate: 1}); !errors.Is(err, ErrOptions) {
		t.Errorf("encoder: %v", err)
	}
}

// Item 15 of docs/vehicles.md, for sound: an empty body is no error and no sound.
func TestItem15EmptyBody(t *testing.T) {
	for _, codec := range decodable {
		d := mustDecoder(t, codec, 0, DecoderOptions{})
		for _, body := range [][]byte{nil, {}, {0, 1, 0, 0}} {
			if pcm, err := d.Decode([]int16{7}, body); err != nil || !slices.Equal(pcm, []int16{7}) {
				t.Errorf("%s: %d, %v", codec, pcm, err)
			}
		}
	}
}

func TestTooLongBody(t *testing.T) {
	for _, codec := range decodable {
		d := mustDecoder(t, codec, 0, DecoderOptions{})
		if pcm, err := d.Decode([]int16{7}, make([]byte, maxPacket+1)); !errors.Is(err, ErrTooLong) || !slices.Equal(pcm, []int16{7}) {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

var decodable = []media.Codec{
	media.CodecG711A, media.CodecG711U, media.CodecG726, media.CodecADPCM, media.CodecDVI4, media.CodecLPCM, media.CodecPCM,
}

// What is appended goes behind what is there, and nothing is allocated once there is room.
func TestDecodersDoNotAllocate(t *testing.T) {
	for _, codec := range decodable {
		d := mustDecoder(t, codec, 0, DecoderOptions{})
		body, dst, now := noiseBody(160), make([]int16, 0, 1024), uint64(0)
		if n := testing.AllocsPerRun(200, func() {
			now += 20
			d.(Timed).At(now)
			if _, err := d.Decode(dst, body); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a packet", codec, n)
		}
	}
}

func noiseBody(n int) []byte {
	body, x := make([]byte, n), uint32(1)
	for i := range body {
		x = x*1664525 + 1013904223
		body[i] = byte(x >> 24)
	}
	return body
}
