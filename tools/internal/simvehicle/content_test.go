package simvehicle

import (
	"testing"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/tools/vehicle/clip"
)

// The built-in clips are what the documentation says of them.
func TestBuiltInClips(t *testing.T) {
	for channel := uint8(1); channel <= clip.Cameras; channel++ {
		checkClip(t, Default(channel), 704, 576, 1_000_000)
	}
	checkClip(t, Small(), 352, 288, 300_000)
	if Default(1) == Default(2) || Default(1) != Default(1+clip.Cameras) {
		t.Error("channels 1 and 2 differ, channels 1 and 5 do not")
	}
}

func checkClip(t *testing.T, c *Content, width, height, bitrate int) {
	t.Helper()
	const gop = 50
	if len(c.units) == 0 || len(c.units)%gop != 0 {
		t.Fatalf("%d pictures, want a multiple of %d", len(c.units), gop)
	}
	total := 0
	for i, u := range c.units {
		total += len(u.data)
		if u.key != (i%gop == 0) {
			t.Fatalf("picture %d: key frame %v", i, u.key)
		}
		if !u.key {
			continue
		}
		var sets media.ParameterSets
		if _, err := sets.Observe(media.CodecH264, media.AppendNALUs(nil, u.data)); err != nil {
			t.Fatal(err)
		}
		if w, h := sets.Size(media.CodecH264); w != width || h != height {
			t.Fatalf("picture %d: %dx%d", i, w, h)
		}
	}
	length := time.Duration(len(c.units)) * c.frameInterval
	if sound := time.Duration(len(c.sounds)) * c.soundInterval; sound != length {
		t.Errorf("sound takes %v, the pictures %v", sound, length)
	}
	if rate := float64(total*8) / length.Seconds(); rate < 0.8*float64(bitrate) || rate > 1.2*float64(bitrate) {
		t.Errorf("%.0f bit/s, want about %d", rate, bitrate)
	}
}

func TestNewContentRefuses(t *testing.T) {
	units := Default(1).units
	for name, video := range map[string][]byte{
		"nothing":      nil,
		"noise":        []byte("not a video"),
		"no key frame": units[1].data,
	} {
		if _, err := NewContent(ContentOptions{Video: video}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Pictures of several slices, with 3- and 4-byte start codes and a delimiter, stay whole.
func TestCut(t *testing.T) {
	key := []byte{0, 0, 0, 1, 9, 0x10, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 1, 0x68, 1, 0, 0, 0, 1, 0x65, 0x88, 7, 0, 0, 1, 0x65, 0x40, 7}
	delta := []byte{0, 0, 0, 1, 9, 0x10, 0, 0, 1, 0x41, 0x9a, 8, 0, 0, 1, 0x41, 0x41, 8}
	units, err := cut(append(append(append([]byte{}, key...), delta...), delta...), jt1078.PayloadH264)
	if err != nil {
		t.Fatal(err)
	}
	if len(units) != 3 || !units[0].key || units[1].key || units[2].key {
		t.Fatalf("%+v", units)
	}
	if n := len(media.AppendNALUs(nil, units[0].data)); n != 5 {
		t.Errorf("the key frame has %d NAL units, want 5", n)
	}

	vps, sps, pps := []byte{0, 0, 1, 0x40, 1, 1}, []byte{0, 0, 1, 0x42, 1, 1}, []byte{0, 0, 1, 0x44, 1, 1}
	idr, more, trail := []byte{0, 0, 1, 0x26, 1, 0x80}, []byte{0, 0, 1, 0x26, 1, 0x20}, []byte{0, 0, 1, 0x02, 1, 0x80}
	var hevc []byte
	for _, nalu := range [][]byte{vps, sps, pps, idr, more, trail, trail, vps, sps, pps, idr} {
		hevc = append(hevc, nalu...)
	}
	if units, err = cut(hevc, jt1078.PayloadH265); err != nil {
		t.Fatal(err)
	}
	if len(units) != 4 || !units[0].key || units[1].key || units[2].key || !units[3].key {
		t.Fatalf("%+v", units)
	}
}

// Wherever a stream begins in the loop, the sound is the picture's.
func TestPlaceInTheLoop(t *testing.T) {
	c := Default(1)
	for _, at := range []time.Duration{0, 39 * time.Millisecond, 1999 * time.Millisecond, 2 * time.Second, 5990 * time.Millisecond, time.Hour + 3*time.Second} {
		unit := c.keyBefore(at)
		want := int(at%(6*time.Second)/(2*time.Second)) * 50
		if unit != want || c.soundAt(at, unit) != want {
			t.Errorf("%v: picture %d, sound %d, want %d", at, unit, c.soundAt(at, unit), want)
		}
	}
}

func TestHiSilicon(t *testing.T) {
	c, err := NewContent(ContentOptions{Video: clip.Small(), Sound: make([]byte, 700), HiSilicon: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.sounds) != 2 || len(c.sounds[0]) != 324 || [4]byte(c.sounds[0]) != [4]byte{0, 1, 160, 0} {
		t.Fatalf("%d packets, the first starts % x", len(c.sounds), c.sounds[0][:4])
	}
}

func TestFaultsFlag(t *testing.T) {
	const text = "refuse,never-dial,never-key,ignore-stop,garbage,bad-sps,redial=10s,change=1m0s"
	var f Faults
	if err := f.Set(text); err != nil {
		t.Fatal(err)
	}
	if f.String() != text {
		t.Errorf("got %s", f.String())
	}
	for _, bad := range []string{"", "lazy", "redial", "redial=soon", "redial=-1s", "never-key=3s"} {
		if err := f.Set(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestSIMRange(t *testing.T) {
	first, err := jt1078.ParseSIM("013900000098")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"013900000098", "013900000099", "013900000100", "013900000101"} {
		if got := SIMRange(first, 4)[i].String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
