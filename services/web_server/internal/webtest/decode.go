package webtest

import (
	"bytes"
	"context"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

var (
	meanVolume = regexp.MustCompile(`mean_volume: (\S+) dB`)
	trouble    = regexp.MustCompile(`(?im)^.*\b(error|invalid|corrupt|non[- ]monoton|missing|concealing).*$`)
)

// Decode has ffmpeg decode some seconds of a stream and fails at the least complaint. It returns the sound's mean
// volume in dB, of what comes after the last change of its format: silence is below -80.
func Decode(t testing.TB, url string, seconds int) float64 {
	t.Helper()
	ffmpeg := Require(t, "ffmpeg", "ffmpeg")
	ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
	defer cancel()
	var said bytes.Buffer
	// vfr: pictures keep their own times; a fixed rate would find two of a jittering stream at one place and complain.
	command := exec.CommandContext(ctx, ffmpeg, "-hide_banner", "-nostats", "-i", url, "-t", strconv.Itoa(seconds),
		"-fps_mode", "vfr", "-af", "volumedetect", "-f", "null", "-")
	command.Stderr = &said
	if err := command.Run(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", url, err, &said)
	}
	if line := trouble.Find(said.Bytes()); line != nil {
		t.Errorf("ffmpeg %s: %s\n%s", url, line, &said)
	}
	volumes := meanVolume.FindAllSubmatch(said.Bytes(), -1)
	if volumes == nil {
		t.Fatalf("ffmpeg %s: no sound\n%s", url, &said)
	}
	mean, err := strconv.ParseFloat(string(volumes[len(volumes)-1][1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return mean
}
