package pipeline

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
)

func TestSpansOfDaysAndWeeks(t *testing.T) {
	for _, rate := range []int{8000, 11025, 16000, 22050, 44100, 48000, 96000} {
		for _, d := range []time.Duration{
			0, time.Millisecond, time.Second, 53 * time.Hour, 54 * time.Hour, 7 * 24 * time.Hour, 365 * 24 * time.Hour,
		} {
			n := samples(d, rate)
			if exact := d.Seconds() * float64(rate); math.Abs(float64(n)-exact) > 1 {
				t.Errorf("%v at %d Hz: %d samples, want %.0f", d, rate, n, exact)
			}
			if back := d - span(n, rate); back < 0 || back > time.Second/time.Duration(rate)+1 {
				t.Errorf("%v at %d Hz comes back %v short", d, rate, back)
			}
			if span(-n, rate) != -span(n, rate) {
				t.Errorf("%d samples at %d Hz: %v back, %v forth", n, rate, span(-n, rate), span(n, rate))
			}
			if n := samples(-d, rate); n != 0 {
				t.Errorf("%v: %d samples", -d, n)
			}
		}
	}
}

// newTrack is a track that runs, at a picture's time.
func newTrack(t *testing.T, at time.Duration) *audioTrack {
	t.Helper()
	a := &audioTrack{metrics: NewMetrics(prometheus.NewRegistry())}
	if err := a.start(silenceRate, at); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.stop)
	return a
}

// packet has 40 ms of G.711A.
const packet = 40 * time.Millisecond

func alaw(pts time.Duration) *media.Frame {
	return &media.Frame{
		Type: media.FrameAudio, Codec: media.CodecG711A, PayloadType: uint8(jt1078.PayloadG711A), PTS: pts,
		VehicleTimestamp: uint64(pts.Milliseconds()), Data: audio.EncodeALaw(nil, make([]int16, 320)),
	}
}

func TestSoundGoesOnAfterDays(t *testing.T) {
	a := newTrack(t, 0)
	days := 30 * 24 * time.Hour
	a.fed += samples(days, a.rate)
	a.made += samples(days, a.encoder.SampleRate()) / int64(a.encoder.FrameSamples())
	units := 0
	for at := days; at < days+time.Second; at += packet {
		more, err := a.write(alaw(at), at)
		if err != nil {
			t.Fatal(err)
		}
		units += len(more)
	}
	if units < 5 || a.lastPTS < days {
		t.Errorf("%d units, the last at %v", units, a.lastPTS)
	}
}

func TestLateSoundIsCutUntilItIsAligned(t *testing.T) {
	const late = 300 * time.Millisecond
	a := newTrack(t, 0)
	begins := 2 * time.Second
	for at := time.Duration(0); at < begins+2*time.Second; at += packet {
		if _, err := a.fill(at); err != nil {
			t.Fatal(err)
		}
		if at < begins {
			continue
		}
		pts := at - late
		if _, err := a.write(alaw(pts), pts); err != nil {
			t.Fatal(err)
		}
		if off := a.end() - (pts + packet); at > begins+late+packet && (off < -packet || off > packet) {
			t.Errorf("at %v sound stands %v from its time", at, off)
		}
	}
}

// Sound on a clock that has nothing to do with the picture's is still heard.
func TestSoundOfAnotherClockIsHeard(t *testing.T) {
	const at = time.Hour
	a := newTrack(t, at)
	for pts := time.Duration(0); pts < 4*time.Second; pts += packet {
		before := a.fed
		if _, err := a.write(alaw(pts), pts); err != nil {
			t.Fatal(err)
		}
		if a.fed-before != 320 {
			t.Fatalf("%d of 320 samples at %v", a.fed-before, pts)
		}
	}
}

func TestRateThatIsFoundRestartsTheEncoderAlone(t *testing.T) {
	a := newTrack(t, 0)
	body := make([]byte, 2*16000/25) // 40 ms at 16 kHz
	for i := range len(body) / 2 {
		body[2*i], body[2*i+1] = byte(i*37), byte(i%50)
	}
	formats := make(map[*Format]bool)
	var last time.Duration
	for at := time.Duration(0); at < 6*time.Second; at += packet {
		f := &media.Frame{
			Type: media.FrameAudio, Codec: media.CodecLPCM, PayloadType: uint8(jt1078.PayloadLPCM), PTS: at,
			VehicleTimestamp: uint64(at.Milliseconds()), Data: body,
		}
		units, err := a.write(f, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range units {
			formats[u.Format], last = true, u.PTS
		}
	}
	if a.rate != 16000 {
		t.Errorf("an encoder for %d Hz, want 16000", a.rate)
	}
	if len(formats) > 2 {
		t.Errorf("%d formats: the encoder starts again and again", len(formats))
	}
	if behind := 6*time.Second - last; behind > 500*time.Millisecond {
		t.Errorf("the last unit is %v old", behind)
	}
}
