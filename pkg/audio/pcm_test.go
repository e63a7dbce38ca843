package audio

import (
	"encoding/binary"
	"slices"
	"testing"

	"multi_process_server/pkg/media"
)

func bytesBE(pcm []int16) []byte {
	var b []byte
	for _, s := range pcm {
		b = binary.BigEndian.AppendUint16(b, uint16(s))
	}
	return b
}

func TestPCMOfEveryPayloadType(t *testing.T) {
	pcm := speech(16000)
	for payloadType, c := range map[uint8]struct {
		codec    media.Codec
		channels int
		usual    func([]int16) []byte
		unusual  func([]int16) []byte
	}{
		15: {media.CodecPCM, 2, bytesBE, bytesLE}, 16: {media.CodecPCM, 1, bytesBE, bytesLE},
		18: {media.CodecLPCM, 1, bytesLE, bytesBE}, 22: {media.CodecPCM, 1, bytesLE, bytesBE}, 23: {media.CodecPCM, 1, bytesLE, bytesBE},
	} {
		d := mustDecoder(t, c.codec, payloadType, DecoderOptions{})
		if d.Channels() != c.channels || d.SampleRate() != 8000 {
			t.Errorf("payload type %d: %d channels, %d Hz", payloadType, d.Channels(), d.SampleRate())
		}
		if got := decodeAll(t, d, chunks(c.usual(pcm), 640)); !slices.Equal(got, pcm) {
			t.Errorf("payload type %d: differs", payloadType)
		}
		d = mustDecoder(t, c.codec, payloadType, DecoderOptions{})
		if got := decodeAll(t, d, chunks(c.unusual(pcm), 640)); !slices.Equal(got[8000:], pcm[8000:]) {
			t.Errorf("payload type %d: the other byte order was not found", payloadType)
		}
	}
	d := mustDecoder(t, media.CodecLPCM, 18, DecoderOptions{Order: OrderHighFirst})
	if got := decodeAll(t, d, chunks(bytesBE(pcm), 640)); !slices.Equal(got, pcm) {
		t.Error("the byte order by option differs")
	}
}

func TestPCMRateByTimestamps(t *testing.T) {
	for _, rate := range []int{8000, 16000, 44100, 48000} {
		d := mustDecoder(t, media.CodecPCM, 15, DecoderOptions{})
		for i := range uint64(40) {
			d.(Timed).At(40 * i)
			if _, err := d.Decode(nil, make([]byte, 4*rate/25)); err != nil {
				t.Fatal(err)
			}
		}
		if d.SampleRate() != rate {
			t.Errorf("%d Hz by the timestamps, want %d", d.SampleRate(), rate)
		}
	}
	d := mustDecoder(t, media.CodecPCM, 16, DecoderOptions{SampleRate: 44100})
	for i := range uint64(40) {
		d.(Timed).At(40 * i)
		if _, err := d.Decode(nil, make([]byte, 640)); err != nil || d.SampleRate() != 44100 {
			t.Fatal(d.SampleRate(), err)
		}
	}
}

// Half a sample at the end is dropped, and what is no sample at all gives none.
func TestPCMOddLengths(t *testing.T) {
	d := mustDecoder(t, media.CodecPCM, 15, DecoderOptions{})
	for n, want := range map[int]int{0: 0, 1: 0, 3: 0, 4: 2, 7: 2, 9: 4} {
		if pcm, err := d.Decode(nil, make([]byte, n)); err != nil || len(pcm) != want {
			t.Errorf("%d bytes: %d samples, want %d", n, len(pcm), want)
		}
	}
}
