package audio

import (
	"fmt"
	"testing"

	"multi_process_server/pkg/media"
)

// Every codec's way to a player: what a vehicle encodes, decoded, then to G.711A (RTSP, WebRTC) or AAC (RTMP, FLV).
func TestQualityOfEveryPath(t *testing.T) {
	const rate = 8000
	paths := []struct {
		name  string
		codec media.Codec
		opts  EncoderOptions
		// least SNR in dB of the decoded sine and speech
		sine, speech float64
	}{
		{"G.711A", media.CodecG711A, EncoderOptions{HiSilicon: true}, 36, 35},
		{"G.711U", media.CodecG711U, EncoderOptions{}, 36, 35},
		{"G.726-16", media.CodecG726, EncoderOptions{G726BitRate: 16000}, 10, 13},
		{"G.726-24", media.CodecG726, EncoderOptions{G726BitRate: 24000}, 20, 21},
		{"G.726-32", media.CodecG726, EncoderOptions{G726BitRate: 32000, HiSilicon: true}, 26, 28},
		{"G.726-40", media.CodecG726, EncoderOptions{G726BitRate: 40000}, 30, 32},
		{"ADPCM", media.CodecADPCM, EncoderOptions{HiSilicon: true}, 25, 22},
	}
	for _, path := range paths {
		for _, source := range []struct {
			name  string
			pcm   []int16
			least float64
		}{{"sine", sine(2*rate, rate, 700, 12000), path.sine}, {"speech", speech(2 * rate), path.speech}} {
			t.Run(fmt.Sprint(path.name, " ", source.name), func(t *testing.T) {
				t.Parallel()
				e, err := NewEncoder(path.codec, 0, path.opts)
				if err != nil {
					t.Fatal(err)
				}
				d := mustDecoder(t, path.codec, 0, DecoderOptions{})
				var decoded []int16
				for _, packet := range chunks(source.pcm, 320) {
					if decoded, err = d.Decode(decoded, e.Encode(nil, packet)); err != nil {
						t.Fatal(err)
					}
				}
				if len(decoded) != len(source.pcm) {
					t.Fatalf("%d samples, want %d", len(decoded), len(source.pcm))
				}
				pcm := snr(source.pcm, decoded)
				alaw := snr(source.pcm, DecodeALaw(nil, EncodeALaw(nil, decoded)))
				aac := snrThroughAAC(t, source.pcm, decoded)
				t.Logf("SNR: decoded %.1f dB, as G.711A %.1f dB, as AAC %.1f dB", pcm, alaw, aac)
				// A second lossy codec may add as much noise as the first, 3 dB; AAC, which shapes its own by ear, more.
				if pcm < source.least || alaw < pcm-3.5 || aac < min(pcm-5, 25) {
					t.Errorf("want %.0f dB decoded and little less after", source.least)
				}
			})
		}
	}
}

// snrThroughAAC is how far original stands above what decoded is after AAC.
func snrThroughAAC(t *testing.T, original, decoded []int16) float64 {
	t.Helper()
	e, err := NewAACEncoder(8000)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	out, _, _ := throughAAC(t, e, decoded, 8000)
	r, err := NewResampler(8000, e.SampleRate())
	if err != nil {
		t.Fatal(err)
	}
	return snr(r.Resample(nil, original), out[e.Delay()-r.Delay():])
}
