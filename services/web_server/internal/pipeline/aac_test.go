package pipeline

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
)

// adts puts a unit behind an ADTS header (ISO/IEC 13818-7 clause 6.2) for an object type, frequency index and channels.
func adts(object, rate, channels int, unit []byte) []byte {
	n := 7 + len(unit)
	return append([]byte{
		0xff, 0xf1, byte((object-1)<<6 | rate<<2 | channels>>2), byte(channels<<6 | n>>11), byte(n >> 3), byte(n<<5 | 0x1f), 0xfc,
	}, unit...)
}

func aacFrameOf(pts time.Duration, body []byte) *media.Frame {
	return &media.Frame{
		Type: media.FrameAudio, Codec: media.CodecAAC, PayloadType: uint8(jt1078.PayloadAAC), PTS: pts,
		VehicleTimestamp: uint64(pts.Milliseconds()), Data: body,
	}
}

// follow writes and checks that units adjoin, in each format and from one to the next.
type follow struct {
	*audioTrack
	t       *testing.T
	next    time.Duration
	formats []*Format
	ours    int // units that are the vehicle's
}

func (f *follow) take(units []*Unit, err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, u := range units {
		if off := u.PTS - f.next; f.next != 0 && (off < -2*time.Millisecond || off > 2*time.Millisecond) {
			f.t.Errorf("a unit at %v, the last ended at %v", u.PTS, f.next)
		}
		f.next = u.PTS + span(aacFrame, u.Format.SampleRate)
		if n := len(f.formats); n == 0 || f.formats[n-1] != u.Format {
			f.formats = append(f.formats, u.Format)
		}
		if string(u.Payload) == string(vehiclesUnit) {
			f.ours++
		}
	}
}

var vehiclesUnit = []byte{0x01, 2, 3, 4, 5, 6}

func TestAACFromTheVehicleAndBack(t *testing.T) {
	for name, wrap := range map[string]func([]byte) []byte{
		"ADTS": func(unit []byte) []byte { return adts(2, 8, 1, unit) },
		"raw":  func(unit []byte) []byte { return unit },
	} {
		t.Run(name, func(t *testing.T) {
			f := &follow{audioTrack: newTrack(t, time.Second), t: t}
			at := time.Second
			sound := func(d time.Duration, step time.Duration, frame func(at time.Duration) *media.Frame) {
				for end := at + d; at < end; at += step {
					if frame != nil {
						f.take(f.write(frame(at), at))
					}
					f.take(f.fill(at))
				}
			}
			aac := func(at time.Duration) *media.Frame { return aacFrameOf(at, wrap(vehiclesUnit)) }
			sound(time.Second, packet, nil)
			sound(4*time.Second, 64*time.Millisecond, aac) // 1,024 samples at 16 kHz
			if want := 40; f.ours < want {
				t.Errorf("%d units of the vehicle's, want more than %d", f.ours, want)
			}
			sound(3*time.Second, packet, nil) // silence like it
			if n := len(f.formats); n != 2 || f.formats[1].SampleRate != 16000 || string(f.formats[1].Record) != "\x14\x08" {
				t.Fatalf("%d formats", n)
			}
			ours := f.ours
			sound(time.Second, 64*time.Millisecond, aac)
			if f.ours < ours+14 || len(f.formats) != 2 {
				t.Errorf("%d units after the silence, %d formats", f.ours-ours, len(f.formats))
			}
			sound(2*time.Second, packet, alaw)
			if len(f.formats) != 3 {
				t.Errorf("%d formats after G.711", len(f.formats))
			}
			if behind := at - f.next; behind > time.Second {
				t.Errorf("the last unit ends %v ago", behind)
			}
		})
	}
}

// A track that is opened again begins with silence of the vehicle's own format.
func TestAACIsRemembered(t *testing.T) {
	a := newTrack(t, 0)
	if _, err := a.write(aacFrameOf(0, adts(2, 8, 2, vehiclesUnit)), 0); err != nil {
		t.Fatal(err)
	}
	format := a.format
	a.stop()
	if a.running() {
		t.Error("it runs on")
	}
	if err := a.open(time.Minute); err != nil {
		t.Fatal(err)
	}
	units, err := a.fill(time.Minute + time.Second)
	if err != nil || len(units) < 10 || units[0].Format != format || units[0].PTS != time.Minute {
		t.Errorf("%d units, error %v", len(units), err)
	}
}

func TestAACThatIsNotPassedOn(t *testing.T) {
	for name, body := range map[string][]byte{
		"main profile": adts(1, 8, 1, vehiclesUnit),
		"5.1":          adts(2, 8, 6, vehiclesUnit),
		"LATM":         {0x56, 0xe0, 4, 1, 2, 3, 4},
	} {
		a := newTrack(t, 0)
		format := a.format
		units, err := a.write(aacFrameOf(0, body), 0)
		if err == nil || len(units) > 0 || a.format != format {
			t.Errorf("%s: %d units, error %v", name, len(units), err)
		}
		if name == "LATM" && !errors.Is(err, audio.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
		if units, err := a.fill(time.Second); err != nil || len(units) == 0 {
			t.Errorf("%s: %d units of silence, %v", name, len(units), err)
		}
	}
	a := newTrack(t, 0)
	if _, err := a.write(aacFrameOf(0, []byte{0xff, 0xf1, 0, 0}), 0); err != nil { // damaged: counted
		t.Error(err)
	}
}

// ffmpeg decodes our units of silence to silence and without a complaint.
func TestSilentAACIsValid(t *testing.T) {
	for channels, unit := range silentAAC {
		for _, rate := range []int{3, 4, 8, 11} { // 48,000, 44,100, 16,000 and 8,000 Hz
			var stream []byte
			for range 20 {
				stream = append(stream, adts(2, rate, channels, unit)...)
			}
			file := filepath.Join(t.TempDir(), "silence.aac")
			if err := os.WriteFile(file, stream, 0o600); err != nil {
				t.Fatal(err)
			}
			checkSilence(t, file, 20*aacFrame*channels)
		}
	}
}

func checkSilence(t *testing.T, file string, want int) {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv("MPS_REQUIRE_TOOLS") != "" {
			t.Fatal("ffmpeg is missing: install the package ffmpeg")
		}
		t.Skip("ffmpeg is missing: install the package ffmpeg")
	}
	var said bytes.Buffer
	command := exec.Command(ffmpeg, "-v", "error", "-xerror", "-f", "aac", "-i", file, "-f", "s16le", "-")
	command.Stderr = &said
	pcm, err := command.Output()
	if err != nil || said.Len() > 0 {
		t.Errorf("%s: %v: %s", file, err, &said)
	}
	if len(pcm) != 2*want || len(bytes.Trim(pcm, "\x00")) > 0 {
		t.Errorf("%s: %d bytes, want %d of silence", file, len(pcm), 2*want)
	}
}
