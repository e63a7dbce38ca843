package audio

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// ffmpeg runs Debian's ffmpeg as the judge: input on its standard input, the answer from its standard output.
func ffmpeg(t *testing.T, input []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv("MPS_REQUIRE_TOOLS") != "" {
			t.Fatal("ffmpeg is missing: install the package ffmpeg")
		}
		t.Skip("ffmpeg is missing (package ffmpeg): not compared with it")
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(path, append([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, &errs)
	}
	return out.Bytes()
}

// recording reads one of the recordings that RECORDINGS_DIR names.
func recording(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("RECORDINGS_DIR")
	if dir == "" {
		t.Skip("RECORDINGS_DIR is not set: not tried on recordings")
	}
	data, err := os.ReadFile(filepath.Join(dir, "captures", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func samplesLE(b []byte) []int16 {
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return pcm
}

func bytesLE(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, s := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

func sine(n, rate int, hertz, amplitude float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hertz*float64(i)/float64(rate))))
	}
	return pcm
}

// speech is noise with what makes speech speech for a codec: a spectrum that falls from two formants (500 and 1500 Hz
// at 8 kHz), syllables at 4 Hz and pauses. The same n gives the same samples.
func speech(n int) []int16 {
	random := rand.New(rand.NewPCG(1078, 2016))
	resonator := func(hertz, radius float64) func(float64) float64 {
		var y1, y2 float64
		a1, a2 := 2*radius*math.Cos(2*math.Pi*hertz/8000), -radius*radius
		return func(x float64) float64 {
			y := x + a1*y1 + a2*y2
			y1, y2 = y, y1
			return y
		}
	}
	first, second := resonator(500, 0.97), resonator(1500, 0.9)
	pcm := make([]int16, n)
	for i := range pcm {
		syllable := max(0, math.Sin(2*math.Pi*4*float64(i)/8000)+0.2)
		y := first(second(random.NormFloat64())) * syllable * 120
		pcm[i] = int16(max(-32000, min(32000, y)))
	}
	return pcm
}

// snr is how far want stands above its difference from got, in dB. Both are cut to the shorter one.
func snr(want, got []int16) float64 {
	var signal, noise float64
	for i := range min(len(want), len(got)) {
		w, g := float64(want[i]), float64(got[i])
		signal += w * w
		noise += (w - g) * (w - g)
	}
	if noise == 0 {
		return math.Inf(1)
	}
	return 10 * math.Log10(signal/noise)
}

// chunks cuts into packets of n, the last one shorter.
func chunks[T any](all []T, n int) [][]T { return slices.Collect(slices.Chunk(all, n)) }
