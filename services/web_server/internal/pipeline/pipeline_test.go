package pipeline_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// feed is a pipeline whose frames the test makes.
type feed struct {
	*pipeline.Pipeline
	registry *prometheus.Registry
	at       time.Duration
}

type nothing struct{}

func (nothing) Close() {}

func newFeed(t *testing.T, config pipeline.Config) *feed {
	t.Helper()
	registry := prometheus.NewRegistry()
	p := &pipeline.Pipeline{
		Config: config, Log: zerolog.New(zerolog.NewTestWriter(t)), Metrics: pipeline.NewMetrics(registry),
		Subscribe: func(jt1078.Key, relay.Handler) interface{ Close() } { return nothing{} },
	}
	p.Initialize()
	t.Cleanup(p.Close)
	return &feed{Pipeline: p, registry: registry, at: time.Hour}
}

// metric is the sum of a metric's values over its labels.
func (f *feed) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func (f *feed) picture(clip *webtest.Clip, n int) {
	p := clip.Pictures[n%len(clip.Pictures)]
	kind := media.FrameDelta
	if p.Key {
		kind = media.FrameKey
	}
	f.OnFrame(&media.Frame{Type: kind, Codec: clip.Codec, PTS: f.at, Data: p.Data})
	f.at += webtest.FrameTime
}

// sound is one frame time of G.711A.
func (f *feed) sound(codec media.Codec, at time.Duration) {
	pcm := make([]int16, 320)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(float64(i)))
	}
	f.OnFrame(&media.Frame{Type: media.FrameAudio, Codec: codec, PayloadType: 6, PTS: at, Data: audio.EncodeALaw(nil, pcm)})
}

// take returns what is queued, checked for what every output relies on.
func take(t *testing.T, o *pipeline.Output) (video, sound []*pipeline.Unit) {
	t.Helper()
	units, err := o.Take()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range units {
		list := &sound
		if u.Video() {
			list = &video
		}
		if n := len(*list); n > 0 && u.DTS <= (*list)[n-1].DTS {
			t.Errorf("DTS %v after %v", u.DTS, (*list)[n-1].DTS)
		}
		if u.PTS < u.DTS || u.DTS%time.Millisecond != 0 || u.PTS%time.Millisecond != 0 {
			t.Errorf("PTS %v, DTS %v", u.PTS, u.DTS)
		}
		*list = append(*list, u)
	}
	return video, sound
}

func TestJoinerStandsAtNow(t *testing.T) {
	clip := webtest.NewClip(t, "320x240")
	f := newFeed(t, pipeline.DefaultConfig())
	f.picture(clip, 1) // no key frame: nothing to show
	early := f.Attach("flv")
	for n := range 20 {
		f.picture(clip, n)
	}
	video, _ := take(t, early)
	if len(video) != 20 || !video[0].Key {
		t.Fatalf("the first output got %d pictures", len(video))
	}
	last := video[19].DTS

	late := f.Attach("flv")
	video, sound := take(t, late)
	if len(video) != 20 || !video[0].Key || len(sound) != 0 {
		t.Fatalf("the joiner got %d pictures and %d units of sound", len(video), len(sound))
	}
	if video[19].DTS != last {
		t.Errorf("the burst ends at %v, the stream is at %v", video[19].DTS, last)
	}
	if begins := last - video[0].DTS; begins > 25*time.Millisecond {
		t.Errorf("the burst is %v long", begins)
	}
	f.picture(clip, 20)
	a, _ := take(t, early)
	b, _ := take(t, late)
	if len(a) != 1 || len(b) != 1 || a[0] != b[0] {
		t.Errorf("live units are not shared: %v, %v", a, b)
	}
	early.Close()
	late.Close()
	f.picture(clip, 21)
	if video, _ := take(t, late); video != nil {
		t.Errorf("a closed output gets units")
	}
	if n := f.metric(t, "web_outputs"); n != 0 {
		t.Errorf("%v outputs left", n)
	}
}

// Who joins after the vehicle has gone is not shown what was there before.
func TestJoinerGetsNoOldPictures(t *testing.T) {
	clip := webtest.NewClip(t, "320x240")
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, pipeline.DefaultConfig())
		joined := func() int {
			o := f.Attach("flv")
			defer o.Close()
			video, _ := take(t, o)
			return len(video)
		}
		for n := range 20 {
			f.picture(clip, n)
		}
		time.Sleep(3 * time.Second)
		if n := joined(); n != 20 {
			t.Errorf("in a pause: %d pictures", n)
		}
		time.Sleep(3 * time.Second)
		if n := joined(); n != 0 {
			t.Errorf("after a long pause: %d pictures", n)
		}
		f.picture(clip, 20)
		if n := joined(); n != 0 {
			t.Errorf("%d pictures without a key frame", n)
		}
		f.picture(clip, 0)
		if n := joined(); n != 1 {
			t.Errorf("after the next key frame: %d pictures", n)
		}
		f.OnState(relay.State{Stage: relay.StageFailed})
		if n := joined(); n != 0 {
			t.Errorf("after a failure: %d pictures", n)
		}
	})
}

func TestBFrames(t *testing.T) {
	clip := webtest.NewClip(t, "320x240", "-bf", "2", "-x264-params", "aud=1:scenecut=0:b-adapt=0")
	f := newFeed(t, pipeline.DefaultConfig())
	o := f.Attach("flv")
	// In decoding order the pictures are I P B B P B B …; their PTS are those of presentation.
	order := []int{0, 3, 1, 2}
	for n := range clip.Pictures {
		group, i := n/25*25, n%25
		shown := i
		if i > 0 {
			shown = (i-1)/3*3 + order[(i-1)%3+1]
		}
		f.at = time.Duration(group+shown) * webtest.FrameTime
		f.picture(clip, n)
	}
	if video, _ := take(t, o); len(video) != len(clip.Pictures) {
		t.Errorf("%d of %d pictures", len(video), len(clip.Pictures))
	}
	video, _ := take(t, f.Attach("flv"))
	shown := make(map[time.Duration]bool)
	for _, u := range video {
		shown[u.PTS] = true
	}
	if len(video) < 10 {
		t.Errorf("a joiner gets %d pictures", len(video))
	}
}

func TestSoundIsAlignedWithThePicture(t *testing.T) {
	clip := webtest.NewClip(t, "320x240")
	f := newFeed(t, pipeline.DefaultConfig())
	o := f.Attach("flv")
	from := f.at
	for n := range 100 {
		f.sound(media.CodecG711A, f.at)
		f.picture(clip, n)
	}
	video, sound := take(t, o)
	checkSound(t, sound, from, video[len(video)-1].DTS)
	if n := f.metric(t, "web_audio_resyncs_total"); n != 0 {
		t.Errorf("%v resyncs", n)
	}
}

// checkSound fails where units do not adjoin, or do not reach to the end within what the encoder holds.
func checkSound(t *testing.T, sound []*pipeline.Unit, from, to time.Duration) {
	t.Helper()
	if len(sound) == 0 {
		t.Fatal("no sound")
	}
	unit := 1024 * time.Second / time.Duration(sound[0].Format.SampleRate)
	for i, u := range sound[1:] {
		if step := u.PTS - sound[i].PTS; step > unit+time.Millisecond {
			t.Errorf("a gap of %v at %v", step-unit, u.PTS)
		}
	}
	if begins := sound[0].PTS - from; begins < -time.Millisecond || begins > 300*time.Millisecond {
		t.Errorf("sound begins %v after the picture", begins)
	}
	if behind := to - sound[len(sound)-1].PTS; behind < -250*time.Millisecond || behind > 800*time.Millisecond {
		t.Errorf("sound ends %v before the picture", behind)
	}
}

func TestSilenceWhereThereIsNoSound(t *testing.T) {
	clip := webtest.NewClip(t, "320x240")
	for name, sound := range map[string]func(f *feed, n int){
		"none":        func(*feed, int) {},
		"unsupported": func(f *feed, _ int) { f.sound(media.CodecUnsupportedAudio, f.at) },
		"begins late": func(f *feed, n int) {
			if n > 30 {
				f.sound(media.CodecG711A, f.at)
			}
		},
		"ends early": func(f *feed, n int) {
			if n < 20 {
				f.sound(media.CodecG711A, f.at)
			}
		},
		"in bursts": func(f *feed, n int) {
			if n%5 == 4 {
				for range 5 {
					f.sound(media.CodecG711A, f.at)
				}
			}
		},
		"slow clock": func(f *feed, n int) { f.sound(media.CodecG711A, f.at+time.Duration(n)*2*time.Millisecond) },
		"fast clock": func(f *feed, n int) { f.sound(media.CodecG711A, f.at-time.Duration(n)*2*time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			config := pipeline.DefaultConfig()
			config.QueueDuration = time.Minute
			f := newFeed(t, config)
			o := f.Attach("flv")
			from := f.at
			for n := range 90 {
				f.picture(clip, n)
				sound(f, n)
			}
			video, units := take(t, o)
			checkSound(t, units, from, video[len(video)-1].DTS)
			if name == "unsupported" && f.metric(t, "web_unsupported_audio_total") != 1 {
				t.Error("the unsupported sound is not counted once")
			}
		})
	}
}

func TestSoundGoesOnThroughAPause(t *testing.T) {
	clip := webtest.NewClip(t, "320x240")
	f := newFeed(t, pipeline.DefaultConfig())
	o := f.Attach("rtmp")
	f.picture(clip, 0)
	paused := f.at
	var sound []*pipeline.Unit
	webtest.Eventually(t, "a second of silence", func() bool {
		_, more := take(t, o)
		sound = append(sound, more...)
		return len(sound) > 0 && sound[len(sound)-1].PTS > paused+time.Second
	})
	f.at = paused + 1500*time.Millisecond
	f.picture(clip, 25)
	if video, _ := take(t, o); len(video) != 1 {
		t.Errorf("%d pictures after the pause", len(video))
	}
}

func TestParameterSets(t *testing.T) {
	small, large := webtest.NewClip(t, "320x240"), webtest.NewClip(t, "640x480")
	f := newFeed(t, pipeline.DefaultConfig())
	o := f.Attach("flv")
	malformed := append([]byte{0, 0, 0, 1, 0x67, 0xFF, 0xFF, 0xFF}, small.Pictures[0].Data...)
	f.OnFrame(&media.Frame{Type: media.FrameKey, Codec: media.CodecH264, PTS: f.at, Data: malformed})
	f.at += webtest.FrameTime
	if n := f.metric(t, "web_video_errors_total"); n != 1 {
		t.Errorf("a malformed SPS is counted %v times", n)
	}
	if !strings.Contains(f.Complaint(), "SPS") {
		t.Errorf("complaint %q", f.Complaint())
	}
	take(t, o)
	f.picture(small, 25)
	f.picture(small, 26)
	f.picture(large, 0)
	f.picture(large, 1)
	video, _ := take(t, o)
	if len(video) != 4 {
		t.Fatalf("%d pictures", len(video))
	}
	for i, want := range []int{320, 320, 640, 640} {
		if video[i].Format.Width != want {
			t.Errorf("picture %d is %d pixels wide, want %d", i, video[i].Format.Width, want)
		}
	}
	if video[0].Format != video[1].Format {
		t.Error("the same sets make another format")
	}
	joiner, _ := take(t, f.Attach("flv"))
	if len(joiner) != 2 || joiner[0].Format.Width != 640 {
		t.Errorf("a joiner begins with %d pictures", len(joiner))
	}
}

// Sets alone, and a codec that nothing carries, are no pictures and do no harm.
func TestNothingToShow(t *testing.T) {
	f := newFeed(t, pipeline.DefaultConfig())
	o := f.Attach("flv")
	for _, frame := range []media.Frame{
		{Type: media.FrameKey, Codec: media.CodecAVS, Data: []byte{0, 0, 1, 0xB0}},
		{Type: media.FrameKey, Codec: media.CodecH264},
		{Type: media.FrameKey, Codec: media.CodecH264, Data: []byte{0, 0, 0, 1}},
		{Type: media.FrameKey, Codec: media.CodecH264, Data: []byte{0, 0, 1, 0x65}},
		{Type: media.FrameParameterSets, Codec: media.CodecH265, Data: []byte{0, 0, 1, 0x42, 1}},
		{Type: media.FrameAudio, Codec: media.CodecG711A},
		{Type: media.FrameData, Codec: media.CodecData, Data: []byte{1}},
	} {
		f.OnFrame(&frame)
	}
	if video, sound := take(t, o); video != nil || sound != nil {
		t.Errorf("%d pictures, %d units of sound", len(video), len(sound))
	}
	if !strings.Contains(f.Complaint(), "AVS") {
		t.Errorf("complaint %q", f.Complaint())
	}
}

func TestSlowOutputLosesUpToTheNextKeyFrame(t *testing.T) {
	clip := webtest.NewClip(t, "320x240")
	config := pipeline.DefaultConfig()
	config.QueueDuration = 2 * time.Second
	f := newFeed(t, config)
	slow := f.Attach("flv")
	for n := range 60 { // the queue holds fifty
		f.picture(clip, n)
	}
	if video, _ := take(t, slow); len(video) != 0 {
		t.Fatalf("%d pictures that nobody can decode", len(video))
	}
	if f.metric(t, "web_output_overflows_total") != 1 || f.metric(t, "web_output_dropped_units_total") < 55 {
		t.Error("the loss is not counted")
	}
	for n := range 20 {
		f.picture(clip, 60+n)
	}
	if video, _ := take(t, slow); len(video) != 5 || !video[0].Key {
		t.Errorf("goes on with %d pictures", len(video))
	}
}

func TestCloseEndsOutputs(t *testing.T) {
	f := newFeed(t, pipeline.DefaultConfig())
	o := f.Attach("flv")
	go f.Close()
	if _, err := o.Next(t.Context(), nil); !errors.Is(err, pipeline.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if _, err := f.Attach("flv").Next(t.Context(), nil); !errors.Is(err, pipeline.ErrClosed) {
		t.Errorf("error of a late output %v", err)
	}
}
