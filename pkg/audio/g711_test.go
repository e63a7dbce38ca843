package audio

import (
	"math"
	"math/bits"
	"slices"
	"testing"
)

func TestG711EveryCodeAsFFmpeg(t *testing.T) {
	codes := make([]byte, 256)
	for i := range codes {
		codes[i] = byte(i)
	}
	for format, decode := range map[string]func([]int16, []byte) []int16{"alaw": DecodeALaw, "mulaw": DecodeULaw} {
		want := samplesLE(ffmpeg(t, codes, "-f", format, "-ar", "8000", "-i", "-", "-f", "s16le", "-"))
		if got := decode(nil, codes); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %d\nwant %d", format, got, want)
		}
	}
}

// Every sample comes back within half a step of its segment, but for the bits that 16 have more than 13 (A) or 14 (µ).
func TestG711StaysWithinHalfAStep(t *testing.T) {
	for s := math.MinInt16; s <= math.MaxInt16; s++ {
		magnitude := max(s, ^s)
		got := DecodeALaw(nil, EncodeALaw(nil, []int16{int16(s)}))[0]
		if step := 16 << bits.Len(uint(magnitude>>9)); abs(int(got)-s) > step/2+1 {
			t.Fatalf("A-law: %d became %d, a step is %d", s, got, step)
		}
		magnitude = min(magnitude, 32635)
		got = DecodeULaw(nil, EncodeULaw(nil, []int16{int16(s)}))[0]
		if step := 8 << bits.Len(uint((magnitude+132)>>8)); abs(int(got)-max(-32635, min(32635, s))) > step/2+4 {
			t.Fatalf("µ-law: %d became %d, a step is %d", s, got, step)
		}
	}
}

func abs(x int) int { return max(x, -x) }

func TestG711Quality(t *testing.T) {
	for name, pcm := range map[string][]int16{"sine": sine(8000, 8000, 1004, 16000), "speech": speech(32000)} {
		if db := snr(pcm, DecodeALaw(nil, EncodeALaw(nil, pcm))); db < 35 {
			t.Errorf("A-law %s: %.1f dB", name, db)
		}
		if db := snr(pcm, DecodeULaw(nil, EncodeULaw(nil, pcm))); db < 35 {
			t.Errorf("µ-law %s: %.1f dB", name, db)
		}
	}
}
