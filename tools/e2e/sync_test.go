package e2e

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The clip's lamp and its beep come at the same moment (see tools/vehicle/clip), and so they do for viewers.
func TestPictureAndSoundTogether(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	v := p.vehicle(t, nil)
	for _, way := range []struct {
		name string
		args []string
	}{
		{"RTSP", []string{"-rtsp_transport", "tcp", "-i", p.rtsp(v.id(1))}},
		{"FLV", []string{"-i", p.flv(v.id(1))}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			flashes, beeps := flashesAndBeeps(t, way.args)
			pairs := 0
			for _, flash := range flashes {
				for _, beep := range beeps {
					if apart := beep - flash; math.Abs(apart) < 1 {
						pairs++
						t.Logf("flash at %.3f s, beep %+.0f ms", flash, apart*1000)
						if math.Abs(apart) > 0.04 {
							t.Errorf("flash at %.3f s, beep at %.3f s", flash, beep)
						}
					}
				}
			}
			if pairs < 2 {
				t.Errorf("flashes at %v, beeps at %v", flashes, beeps)
			}
		})
	}
}

// flashesAndBeeps watches long enough for three of each and returns when they began, in seconds.
func flashesAndBeeps(t *testing.T, args []string) (flashes, beeps []float64) {
	t.Helper()
	const duration, fps, sampleRate = "7", 25, 8000
	lamp, sound := filepath.Join(t.TempDir(), "lamp"), filepath.Join(t.TempDir(), "sound")
	args = append([]string{"-v", "error", "-nostdin"}, args...)
	args = append(args, "-filter_complex",
		// The lamp as one grey pixel, 25 of them a second; the sound without holes.
		"[0:v]crop=30:30:30:515,scale=1:1,format=gray,fps=25:start_time=0[v];[0:a]aresample=8000:async=1:first_pts=0[a]",
		"-map", "[v]", "-t", duration, "-f", "rawvideo", lamp, "-map", "[a]", "-t", duration, "-f", "s16le", sound)
	if out, err := exec.CommandContext(limited(t, time.Minute), need(t, "ffmpeg", "ffmpeg"), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pixels, err := os.ReadFile(lamp)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(pixels); i++ {
		if pixels[i] > 150 && pixels[i-1] <= 150 {
			flashes = append(flashes, float64(i)/fps)
		}
	}
	samples, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	// 10 ms windows, of which the beep's 1 kHz is measured.
	const window, hertz, loud = 80, 1000, 3000
	was := true // a beep that was there at the beginning has no beginning
	for start := 0; start+window <= len(samples)/2; start += window / 10 {
		var re, im float64
		for i := range window {
			v := float64(int16(binary.LittleEndian.Uint16(samples[2*(start+i):])))
			sin, cos := math.Sincos(2 * math.Pi * hertz * float64(i) / sampleRate)
			re, im = re+v*cos, im+v*sin
		}
		is := math.Hypot(re, im)/window > loud
		if is && !was {
			beeps = append(beeps, float64(start+window/2)/sampleRate)
		}
		was = is
	}
	return flashes, beeps
}
