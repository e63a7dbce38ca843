package audio

import (
	"bytes"
	"slices"
	"testing"

	"multi_process_server/pkg/media"
)

// fuzzDecoder feeds a body in packets whose length the first byte gives, and wants of any input: no panic, the samples
// that were there untouched, no more than most per byte, and twice the same.
func fuzzDecoder(f *testing.F, codec media.Codec, most int) {
	f.Add([]byte{160}, uint8(0))
	f.Add(append([]byte{168, 0, 1, 82, 0}, noiseBody(164)...), uint8(10))
	f.Add(append([]byte{80}, noiseBody(800)...), uint8(15))
	f.Fuzz(func(t *testing.T, data []byte, payloadType uint8) {
		if len(data) == 0 {
			return
		}
		run := func() []int16 {
			d := mustDecoder(t, codec, payloadType, DecoderOptions{})
			pcm := []int16{1078}
			for i, body := range chunks(data[1:], int(data[0])+1) {
				d.(Timed).At(uint64(i) * uint64(data[0]))
				before := len(pcm)
				var err error
				if pcm, err = d.Decode(pcm, body); err != nil {
					t.Fatal(err)
				}
				if len(pcm)-before > most*len(body) {
					t.Fatalf("%d samples of %d bytes", len(pcm)-before, len(body))
				}
			}
			if rate, channels := d.SampleRate(), d.Channels(); rate < 8000 || rate > 48000 || channels < 1 || channels > 2 {
				t.Fatalf("%d Hz, %d channels", rate, channels)
			}
			return pcm
		}
		first := run()
		if first[0] != 1078 || !slices.Equal(first, run()) {
			t.Fatal("not what was there, or not the same twice")
		}
	})
}

func FuzzG711A(f *testing.F) { fuzzDecoder(f, media.CodecG711A, 1) }
func FuzzG711U(f *testing.F) { fuzzDecoder(f, media.CodecG711U, 1) }
func FuzzG726(f *testing.F)  { fuzzDecoder(f, media.CodecG726, 4) }
func FuzzADPCM(f *testing.F) { fuzzDecoder(f, media.CodecADPCM, 2) }
func FuzzDVI4(f *testing.F)  { fuzzDecoder(f, media.CodecDVI4, 2) }
func FuzzPCM(f *testing.F)   { fuzzDecoder(f, media.CodecPCM, 1) }

func FuzzHiSilicon(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0, 7, 7})
	f.Fuzz(func(t *testing.T, body []byte) {
		payload, ok := StripHiSilicon(body)
		if again := append(AppendHiSilicon(nil, len(payload)), payload...); ok && !bytes.Equal(again, body) {
			t.Fatalf("% x, made again: % x", body, again)
		}
		if !ok && !bytes.Equal(payload, body) {
			t.Fatal("changed without a header")
		}
	})
}

func FuzzAACParser(f *testing.F) {
	unit := withADTS(appendASC(nil, aacLC, 11, 1), []byte{1, 2, 3})
	f.Add(unit)
	f.Add(append(slices.Clone(unit), unit...))
	f.Add([]byte{0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, body []byte) {
		var p AACParser
		for i := range uint64(20) { // enough for a rate by timestamps
			units, err := p.Parse(nil, body, 64*i)
			total := 0
			for _, unit := range units {
				total += len(unit)
			}
			if total > len(body) || err == nil && len(body) > hisiliconHeader && total == 0 {
				t.Fatalf("%d bytes in %d units of %d bytes, %v", total, len(units), len(body), err)
			}
			if c := p.Config(); c != nil && (len(c) != 2 || c[0]>>3 == 0 || c[0]>>3 > 4) {
				t.Fatalf("AudioSpecificConfig % x", c)
			}
		}
	})
}

func FuzzMPEGAudio(f *testing.F) {
	f.Add([]byte{0xff, 0xfb, 0x90, 0xc0})
	f.Add(append([]byte{0xff, 0xe3, 0x18, 0xc4}, make([]byte, 68)...)) // MPEG 2.5 layer III, 8 kbit/s, 8 kHz: 72 bytes
	f.Fuzz(func(t *testing.T, body []byte) {
		frames, err := SplitMPEGAudio(nil, body)
		payload, _ := StripHiSilicon(body)
		if joined := bytes.Join(frames, nil); !bytes.HasPrefix(payload, joined) || err == nil && len(joined) != len(payload) {
			t.Fatalf("%d bytes in %d frames of %d bytes, %v", len(joined), len(frames), len(payload), err)
		}
		for _, frame := range frames {
			if h, err := ParseMPEGAudioHeader(frame); err != nil || h.Length != len(frame) || h.Samples == 0 || h.SampleRate < 8000 {
				t.Fatalf("%+v %v", h, err)
			}
		}
	})
}
