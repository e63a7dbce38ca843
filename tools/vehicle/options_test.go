package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"multi_process_server/pkg/jt808"
	"multi_process_server/tools/internal/simvehicle"
	"multi_process_server/tools/vehicle/clip"
)

func vehicles(t *testing.T, args ...string) ([]*simvehicle.Vehicle, error) {
	t.Helper()
	o, err := parse(args)
	if err != nil {
		return nil, err
	}
	return o.vehicles()
}

func TestVehicles(t *testing.T) {
	got, err := vehicles(t, "--sim", "064959409438:4", "--sim", "13912345678", "--count", "2", "--channels", "3", "--gateway", "gateway:9503")
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		sim      string
		channels uint8
	}{{"064959409438", 4}, {"064959409439", 4}, {"013912345678", 3}, {"013912345679", 3}}
	if len(got) != len(want) {
		t.Fatalf("%d vehicles", len(got))
	}
	for i, v := range got {
		if v.SIM.String() != want[i].sim || v.Channels != want[i].channels || v.Gateway != "gateway:9503" || v.Media != "" {
			t.Errorf("vehicle %d: %s, %d channels, %q %q", i, v.SIM, v.Channels, v.Gateway, v.Media)
		}
	}

	got, err = vehicles(t, "--2019", "--sim", "12345678901234567890", "--unasked", "--no-sound", "--fault", "change=3s")
	if err != nil {
		t.Fatal(err)
	}
	v := got[0]
	if v.Version != jt808.Version2019 || v.Gateway != "" || v.Media != "127.0.0.1:9501" || !v.NoSound || v.Faults.ChangeAfter != 3*time.Second {
		t.Errorf("%+v", v)
	}
	if v.Content(1, false) == v.Content(1, true) || v.Content(1, false) == v.Content(2, false) {
		t.Error("what it changes to is another picture, and so is that of another channel")
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	video, sound := filepath.Join(dir, "video.h264"), filepath.Join(dir, "sound.alaw")
	for file, content := range map[string][]byte{video: clip.Small(), sound: bytes.Repeat([]byte{0xd5}, 640)} {
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := vehicles(t, "--video", video, "--audio", sound, "--fps", "15", "--hisilicon")
	if err != nil {
		t.Fatal(err)
	}
	if v := got[0]; v.Content(1, false) != v.Content(2, true) {
		t.Error("a file is what all channels show, and both streams")
	}
	if got, err = vehicles(t, "--sub", video); err != nil {
		t.Fatal(err)
	}
	if v := got[0]; v.Content(1, true) == v.Content(1, false) || v.Content(1, true) != v.Content(2, true) {
		t.Error("--sub is the sub stream of all channels")
	}
	for _, args := range [][]string{{"--video", dir}, {"--audio", dir}, {"--video", sound}, {"--video", video, "--h265"}} {
		if _, err := vehicles(t, args...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, args := range [][]string{
		{"stray"},
		{"--channels", "0"},
		{"--channels", "65"},
		{"--count", "0"},
		{"--fps", "0"},
		{"--sim", "12345678901234567890"}, // needs --2019
	} {
		if _, err := vehicles(t, args...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	var sims seriesFlag
	for _, text := range []string{"", "hello", "064959409438:", "064959409438:0", "064959409438:65"} {
		if err := sims.Set(text); err == nil {
			t.Errorf("--sim %q: no error", text)
		}
	}
}

// The command runs until it is told to end, though nobody answers.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := run(ctx, []string{"--gateway", "127.0.0.1:1", "--count", "30"}); err != nil {
		t.Error(err)
	}
}
