package audio

import (
	"fmt"
	"math"
)

// resamplerTaps is the length of each phase of the filter in input samples (of the output's, when going down). With
// the window below it passes 85 % of the narrower band flat and puts what would fold or mirror 60 dB down.
const resamplerTaps = 24

// maxPhases bounds a resampler's table; the worst pair of usual rates (11,025 to 48,000 Hz) needs 640.
const maxPhases = 640

// Resampler changes the rate of a mono stream by a ratio of integers: a polyphase filter (a windowed sinc, cut into
// one short filter for each position that an output sample can have between two input samples).
type Resampler struct {
	phases [][]float32 // coefficients, latest input sample last
	step   int         // how far, in 1/len(phases) of an input sample, one output sample is from the next
	phase  int         // position of the next output sample within its input sample, in the same unit
	window []float32   // input that the next output samples still need
	up     bool        // the output's rate is not below the input's
	rate   int
	delay  int
}

// NewResampler returns a Resampler between two rates in Hz.
func NewResampler(from, to int) (*Resampler, error) {
	if from < 1000 || from > 192000 || to < 1000 || to > 192000 {
		return nil, fmt.Errorf("resampling %d Hz to %d Hz: want rates of 1,000 to 192,000 Hz", from, to)
	}
	divisor := gcd(from, to)
	up, down := to/divisor, from/divisor
	if up > maxPhases {
		return nil, fmt.Errorf("resampling %d Hz to %d Hz: their ratio %d:%d needs a filter of more than %d phases", from, to, up, down, maxPhases)
	}
	taps := 1 // equal rates: one coefficient, 1
	if up != down {
		taps = 2 * ((resamplerTaps*max(up, down) + 2*up - 1) / (2 * up))
	}
	r := &Resampler{phases: sincPhases(up, down, taps), step: down, up: up >= down, rate: to, window: make([]float32, taps-1)}
	r.delay = (taps/2*up + down/2) / down
	return r, nil
}

// sincPhases designs the low-pass filter at up times the input's rate and deals it out: coefficient k of phase p is at
// k*up+p. Its middle is at taps/2 input samples, so that the delay is a whole number of them.
func sincPhases(up, down, taps int) [][]float32 {
	phases := make([][]float32, up)
	middle := float64(taps / 2 * up)
	cutoff := 1 / float64(max(up, down)) // of half the rate at which the filter is designed
	for p := range phases {
		phase, sum := make([]float64, taps), 0.0
		for k := range phase {
			x := float64(k*up+p) - middle
			phase[k] = sinc(x*cutoff) * kaiser(x/max(middle, 1))
			sum += phase[k]
		}
		phases[p] = make([]float32, taps)
		for k := range phase { // every phase passes a constant as it is, or a constant would hum at the input's rate
			phases[p][taps-1-k] = float32(phase[k] / sum)
		}
	}
	return phases
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the Kaiser window with beta 5.65 (60 dB), for x from -1 to 1.
func kaiser(x float64) float64 {
	const beta = 5.65
	return bessel0(beta*math.Sqrt(max(0, 1-x*x))) / bessel0(beta)
}

// bessel0 is the modified Bessel function of the first kind and order 0.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// SampleRate is the output's, in Hz.
func (r *Resampler) SampleRate() int { return r.rate }

// Delay is by how many output samples, rounded, the output lags behind the input.
func (r *Resampler) Delay() int { return r.delay }

// Resample appends to dst what the samples of pcm complete.
func (r *Resampler) Resample(dst, pcm []int16) []int16 {
	for _, sample := range pcm {
		r.window = append(r.window, float32(sample))
	}
	taps := len(r.phases[0])
	start := 0
	for start+taps <= len(r.window) {
		var sample float32
		if r.phase == 0 && r.up { // the output sample is an input sample: the sinc is 1 there and 0 at all others
			sample = r.window[start+(taps-1)/2]
		} else {
			sample = dot(r.phases[r.phase], r.window[start:start+taps])
		}
		sample = max(math.MinInt16, min(math.MaxInt16, sample))
		dst = append(dst, int16(int32(sample+32768.5)-32768)) // rounds: positive before the fraction is cut
		r.phase += r.step
		start += r.phase / len(r.phases)
		r.phase %= len(r.phases)
	}
	r.window = r.window[:copy(r.window, r.window[start:])]
	return dst
}

// dot multiplies and adds, eight at a time and in four sums, as one would wait for itself. What is left over is less
// than eight.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(a) >= 8 && len(b) >= 8 {
		x, y := (*[8]float32)(a), (*[8]float32)(b)
		s0 += x[0]*y[0] + x[4]*y[4]
		s1 += x[1]*y[1] + x[5]*y[5]
		s2 += x[2]*y[2] + x[6]*y[6]
		s3 += x[3]*y[3] + x[7]*y[7]
		a, b = a[8:], b[8:]
	}
	for i := range min(len(a), len(b)) {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
