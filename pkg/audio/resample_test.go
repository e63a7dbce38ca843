package audio

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestResamplerKeepsASine(t *testing.T) {
	for _, rates := range [][2]int{{8000, 48000}, {11025, 44100}, {16000, 48000}, {22050, 44100}, {32000, 48000},
		{11025, 48000}, {44100, 8000}, {48000, 8000}, {16000, 8000}, {11025, 8000}, {8000, 8000}} {
		t.Run(fmt.Sprint(rates), func(t *testing.T) {
			r, err := NewResampler(rates[0], rates[1])
			if err != nil {
				t.Fatal(err)
			}
			var got []int16
			for _, packet := range chunks(sine(rates[0], rates[0], 1000, 16000), 320) {
				got = r.Resample(got, packet)
			}
			if want := rates[1]; abs(len(got)-want) > 1 {
				t.Errorf("%d samples, want %d", len(got), want)
			}
			skip := 2 * r.Delay()                                    // the filter fills
			exact := float64(len(r.phases[0])/2) / float64(rates[0]) // seconds
			want := make([]int16, len(got))
			for i := range want {
				want[i] = int16(math.Round(16000 * math.Sin(2*math.Pi*1000*(float64(i)/float64(rates[1])-exact))))
			}
			if db := snr(want[skip:], got[skip:]); db < 55 {
				t.Errorf("SNR %.1f dB at a delay of %d", db, r.Delay())
			}
		})
	}
}

// What is above half of the output's rate must not come back as another tone; what upsampling mirrors neither.
func TestResamplerStopsWhatWouldFold(t *testing.T) {
	for _, c := range []struct {
		from, to int
		hertz    float64
	}{{48000, 8000, 5200}, {16000, 8000, 5000}, {44100, 8000, 7000}} {
		r, err := NewResampler(c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		got := r.Resample(nil, sine(c.from, c.from, c.hertz, 16000))
		if peak := slices.Max(got[2*r.Delay():]); peak > 32 { // 54 dB
			t.Errorf("%v: %d left of 16000", c, peak)
		}
	}
}

func TestResamplerRefuses(t *testing.T) {
	for _, rates := range [][2]int{{0, 8000}, {8000, 0}, {-8000, 48000}, {8000, 1 << 30}, {7919, 48000}} {
		if _, err := NewResampler(rates[0], rates[1]); err == nil {
			t.Errorf("%v was taken", rates)
		}
	}
}

func TestResamplerDoesNotAllocate(t *testing.T) {
	r, err := NewResampler(8000, 48000)
	if err != nil {
		t.Fatal(err)
	}
	pcm, out := speech(320), make([]int16, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { out = r.Resample(out[:0], pcm) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
