package main

import (
	"encoding/binary"
	"io"
	"math"
)

const (
	sampleRate = 8000
	beepHertz  = 1000
	noteLength = 0.25 // seconds from one note to the next
	tail       = 6    // how many notes sound at a time
)

// melody is A minor, F, C and G, six notes each, in semitones above A3.
var melody = []float64{
	0, 3, 7, 12, 7, 3,
	-4, 0, 3, 8, 3, 0,
	3, 7, 10, 15, 10, 7,
	-2, 2, 5, 10, 5, 2,
}

// play writes little-endian 16-bit samples.
func play(out io.Writer, seconds int) error {
	samples := make([]byte, 0, seconds*sampleRate*2)
	for n := range seconds * sampleRate {
		t := float64(n) / sampleRate
		v := tune(t)
		if since := math.Mod(t, syncEvery); since < syncFor {
			v = 0.4 * math.Sin(2*math.Pi*beepHertz*since)
		}
		samples = binary.LittleEndian.AppendUint16(samples, uint16(int16(v*math.MaxInt16)))
	}
	_, err := out.Write(samples)
	return err
}

// tune is the melody plucked on a soft string; the notes at the end of the loop ring on into its beginning.
func tune(t float64) float64 {
	v := 0.0
	current := int(t / noteLength)
	for ago := range tail {
		note := melody[(current-ago+len(melody))%len(melody)]
		since := t - float64(current-ago)*noteLength
		phase := 2 * math.Pi * 220 * math.Pow(2, note/12) * since
		v += 0.11 * min(1, since/0.006) * math.Exp(-4*since) * (math.Sin(phase) + 0.3*math.Sin(2*phase))
	}
	return v
}
