//go:build !voaac

package audio

import (
	"fmt"

	aac "github.com/tphakala/go-aac"
)

// goAAC is go-aac's encoder. It knows 44.1 and 48 kHz only, so what comes in is brought up to one of them, and the
// encoder is told where the sound ends (Cutoff), so that it spends neither bits nor time above.
type goAAC struct {
	resampler *Resampler
	encoder   *aac.Encoder
	pcm       []int16 // at the output's rate, less than a unit between calls
	frame     []float32
	planes    [][]float32
	out       aacUnits
	config    []byte
}

// NewAACEncoder returns an encoder for mono PCM of the given rate in Hz: one of MPEG-4's from 8,000 to 48,000.
func NewAACEncoder(inputRate int) (AACEncoder, error) {
	bitRate, err := aacEncoderRate(inputRate)
	if err != nil {
		return nil, err
	}
	rate := 48000
	if inputRate%11025 == 0 {
		rate = 44100
	}
	resampler, err := NewResampler(inputRate, rate)
	if err != nil {
		return nil, fmt.Errorf("AAC encoder: %w", err)
	}
	config := aac.EncoderConfig{
		SampleRate: rate, Channels: 1, Coder: aac.CoderNMR, Bitrate: bitRate, Cutoff: min(inputRate/2, 16000),
	}
	encoder, err := aac.NewEncoder(config)
	if err != nil {
		return nil, fmt.Errorf("AAC encoder: %w", err)
	}
	frame := make([]float32, aacFrame)
	return &goAAC{
		resampler: resampler, encoder: encoder, config: encoder.AudioSpecificConfig(),
		frame: frame, planes: [][]float32{frame},
	}, nil
}

func (e *goAAC) Encode(pcm []int16) ([][]byte, error) {
	e.out.reset()
	e.pcm = e.resampler.Resample(e.pcm, pcm)
	rest := e.pcm
	for ; len(rest) >= aacFrame; rest = rest[aacFrame:] {
		for i, sample := range rest[:aacFrame] {
			e.frame[i] = float32(sample) / 32768
		}
		data, err := e.encoder.EncodeFrame(e.out.data, e.planes)
		if err != nil {
			return nil, fmt.Errorf("AAC encoder: %w", err)
		}
		if len(data) > len(e.out.data) { // nothing comes of the very first frame
			e.out.data, e.out.ends = data, append(e.out.ends, len(data))
		}
	}
	e.pcm = e.pcm[:copy(e.pcm, rest)]
	return e.out.slices(), nil
}

func (e *goAAC) Config() []byte { return e.config }

func (e *goAAC) SampleRate() int { return e.resampler.SampleRate() }

func (e *goAAC) FrameSamples() int { return aacFrame }

func (e *goAAC) Delay() int { return aac.EncoderDelay + e.resampler.Delay() }

func (e *goAAC) Close() {}
