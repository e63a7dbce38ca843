package audio

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// withADTS puts a header of ISO/IEC 13818-7 clause 6.2 before a raw unit, from the encoder's AudioSpecificConfig.
func withADTS(config, unit []byte) []byte {
	n := len(unit) + 7
	frequency, channels := config[0]&7<<1|config[1]>>7, config[1]>>3&15
	header := []byte{
		0xff, 0xf1, (config[0]>>3-1)<<6 | frequency<<2 | channels>>2,
		channels<<6 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1f, 0xfc,
	}
	return append(header, unit...)
}

// throughAAC encodes in packets of 40 ms, has ffmpeg decode, and returns that at the encoder's rate.
func throughAAC(t *testing.T, e AACEncoder, pcm []int16, inputRate int) (decoded []int16, units, size int) {
	t.Helper()
	var stream []byte
	for _, packet := range chunks(pcm, inputRate/25) {
		aus, err := e.Encode(packet)
		if err != nil {
			t.Fatal(err)
		}
		for _, au := range aus {
			stream = append(stream, withADTS(e.Config(), au)...)
			units++
			size += len(au)
		}
	}
	out := ffmpeg(t, stream, "-f", "aac", "-i", "-", "-f", "s16le", "-ac", "1", "-")
	return samplesLE(out), units, size
}

// bestDelay is by how much got lags behind want, found by correlation.
func bestDelay(want, got []int16, most int) int {
	best, bestSum := 0, math.Inf(-1)
	n := min(len(want), len(got)-most)
	for d := range most {
		var sum float64
		for i := 0; i < n; i += 7 {
			sum += float64(want[i]) * float64(got[i+d])
		}
		if sum > bestSum {
			best, bestSum = d, sum
		}
	}
	return best
}

func TestAACQualityDelayAndDuration(t *testing.T) {
	const seconds = 2
	for _, rate := range []int{8000, 16000, 22050, 48000} {
		for _, c := range []struct {
			name string
			pcm  []int16
			db   float64
		}{{"sine", sine(seconds*rate, rate, 700, 16000), 40}, {"speech", speech(seconds * rate), 20}} {
			t.Run(fmt.Sprint(rate, c.name), func(t *testing.T) {
				t.Parallel()
				e, err := NewAACEncoder(rate)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				decoded, units, size := throughAAC(t, e, c.pcm, rate)

				// What is left to come is less than the delay and a unit: nothing was lost or made up on the way.
				total := seconds * e.SampleRate()
				if n := units * aacFrame; n > total || n < total-e.Delay()-2*aacFrame {
					t.Errorf("%d units of %d samples for %d", units, aacFrame, total)
				}
				if len(decoded) != units*aacFrame {
					t.Errorf("%d samples decoded of %d units", len(decoded), units)
				}
				resampler, err := NewResampler(rate, e.SampleRate())
				if err != nil {
					t.Fatal(err)
				}
				want := resampler.Resample(nil, c.pcm)
				if c.name == "speech" { // a sine has many best delays
					if d := bestDelay(want, decoded, 3*aacFrame) + resampler.Delay(); abs(d-e.Delay()) > 1 {
						t.Errorf("delay is %d, Delay says %d", d, e.Delay())
					}
				}
				db := snr(want, decoded[e.Delay()-resampler.Delay():])
				t.Logf("%d Hz: SNR %.1f dB, %.1f kbit/s, delay %d", e.SampleRate(), db, float64(size)*8/seconds/1000, e.Delay())
				if db < c.db {
					t.Errorf("SNR %.1f dB, want %.0f", db, c.db)
				}
			})
		}
	}
}

// A horn through a poor microphone. Encoders have been seen to fail at just this: a tone 37 dB above the noise.
func TestAACKeepsAToneInNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, hertz := range []float64{440, 700, 1004, 1400, 2500, 3000} {
		for _, loud := range []float64{3000, 12000, 28000} {
			pcm := sine(16000, 8000, hertz, loud)
			for i := range pcm {
				pcm[i] = clamp16(int32(pcm[i]) + int32(random.NormFloat64()*loud/100))
			}
			if db := snrThroughAAC(t, pcm, pcm); db < 25 {
				t.Errorf("%.0f Hz at %.0f: %.1f dB", hertz, loud, db)
			}
		}
	}
}

func TestAACEncoderTakesAnyPacket(t *testing.T) {
	e, err := NewAACEncoder(8000)
	if err != nil {
		t.Fatal(err)
	}
	pcm := speech(16000)
	units := 0
	for i := 0; len(pcm) > 0; i++ { // none, one sample, a second at once
		n := min([]int{0, 1, 7, 8000, 320}[i%5], len(pcm))
		aus, err := e.Encode(pcm[:n])
		if err != nil {
			t.Fatal(err)
		}
		units += len(aus)
		pcm = pcm[n:]
	}
	total := 2 * e.SampleRate()
	if n := units * aacFrame; n > total || n < total-e.Delay()-2*aacFrame {
		t.Errorf("%d units", units)
	}
	e.Close()
	e.Close()
}

func TestAACEncoderRefusesRates(t *testing.T) {
	for _, rate := range []int{-1, 0, 1, 7919, 1 << 30} {
		if e, err := NewAACEncoder(rate); err == nil {
			e.Close()
			t.Errorf("%d Hz was taken", rate)
		}
	}
}

func TestAACConfig(t *testing.T) {
	e, err := NewAACEncoder(8000)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	frequencies := map[byte]int{3: 48000, 8: 16000}
	config := e.Config()
	if len(config) != 2 || config[0]>>3 != 2 || frequencies[config[0]&7<<1|config[1]>>7] != e.SampleRate() || config[1]>>3&15 != 1 {
		t.Errorf("AudioSpecificConfig % x is not AAC-LC, %d Hz, mono", config, e.SampleRate())
	}
}
