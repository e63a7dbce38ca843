package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
)

// given is what a subscriber of a stream that comes by itself gets of these frames.
func given(t *testing.T, frames ...*jt1078.Frame) []*media.Frame {
	t.Helper()
	h := newHub(t, testConfig(), nil)
	v := mustDial(t, h, liveKey)
	defer v.hangUp()
	c := mustSubscribe(t, h, liveKey)
	v.send(frames...)
	got, _ := drain(t, c)
	return got
}

func TestFramesGoThrough(t *testing.T) {
	frames := given(t, keyFrame(1000), audioFrame(1010), deltaFrame(1040), deltaFrame(1080), keyFrame(1120))
	if got := types(frames); got != "KADDK" {
		t.Fatalf("got %s", got)
	}
	for i, f := range frames {
		if f.Sequence != uint64(i+1) {
			t.Errorf("frame %d has sequence %d", i, f.Sequence)
		}
	}
	if f := frames[0]; f.Codec != media.CodecH264 || !bytes.Equal(f.Data, keyData) || f.PTS != 0 || f.VehicleTimestamp != 1000 || f.PayloadType != 98 || f.Received.IsZero() {
		t.Errorf("first frame: %s, %d bytes, PTS %v, vehicle %d, type %d", f.Codec, len(f.Data), f.PTS, f.VehicleTimestamp, f.PayloadType)
	}
	if f := frames[1]; f.Codec != media.CodecG711A || f.PTS != 10*time.Millisecond {
		t.Errorf("sound: %s, PTS %v", f.Codec, f.PTS)
	}
	if f := frames[2]; f.PTS != 40*time.Millisecond {
		t.Errorf("second picture: PTS %v", f.PTS)
	}
}

// Item 12: a stream that starts with P frames, its parameter sets late.
func TestPictureWaitsForParameterSetsAndKeyFrame(t *testing.T) {
	idr := &jt1078.Frame{DataType: jt1078.DataI, PayloadType: jt1078.PayloadH264, Timestamp: 40, Data: annexB(idrUnit)}
	sets := &jt1078.Frame{DataType: jt1078.DataI, PayloadType: jt1078.PayloadH264, Timestamp: 80, Data: annexB(spsUnit, ppsUnit)}
	later := *idr
	later.Timestamp = 120
	frames := given(t, deltaFrame(0), idr, deltaFrame(60), sets, deltaFrame(100), &later, deltaFrame(160))
	if got := types(frames); got != "SKD" {
		t.Fatalf("got %s", got)
	}
	if !bytes.Equal(frames[0].Data, annexB(spsUnit, ppsUnit)) || frames[0].PTS != frames[1].PTS {
		t.Errorf("parameter sets %x at %v, key frame at %v", frames[0].Data, frames[0].PTS, frames[1].PTS)
	}
}

// Item 8: the payload type says H.264, the NAL units H.265.
func TestCodecIsSniffed(t *testing.T) {
	vps := []byte{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a, 0x95, 0x98, 0x09}
	sps := []byte{0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a, 0xa0, 0x05, 0x82, 0x00, 0x90, 0x59, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40}
	pps := []byte{0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40}
	key := &jt1078.Frame{DataType: jt1078.DataI, PayloadType: jt1078.PayloadH264, Data: annexB(vps, sps, pps, []byte{0x26, 0x01, 0xaf, 0x1d})}
	delta := &jt1078.Frame{DataType: jt1078.DataP, PayloadType: jt1078.PayloadH264, Timestamp: 40, Data: annexB([]byte{0x02, 0x01, 0xd0, 0x09})}
	frames := given(t, key, delta)
	if types(frames) != "KD" || frames[0].Codec != media.CodecH265 || frames[1].Codec != media.CodecH265 {
		t.Errorf("got %s %v", types(frames), frames)
	}
}

// The data type says P, the NAL units say IDR, and the other way round.
func TestKeyFrameIsToldByItsNALUnits(t *testing.T) {
	key, delta := keyFrame(0), deltaFrame(40)
	key.DataType, delta.DataType = jt1078.DataP, jt1078.DataI
	if got := types(given(t, key, delta)); got != "KD" {
		t.Errorf("got %s", got)
	}
}

func TestDamageDropsUpToTheNextKeyFrame(t *testing.T) {
	damaged := deltaFrame(80)
	damaged.Discontinuity = true
	frames := given(t, keyFrame(0), deltaFrame(40), damaged, deltaFrame(120), audioFrame(130), keyFrame(160), deltaFrame(200))
	if got := types(frames); got != "KDAKD" {
		t.Errorf("got %s", got)
	}
}

// Bad input: a malformed SPS never reaches a subscriber, nor does what depends on it.
func TestMalformedSPS(t *testing.T) {
	bad := keyFrame(80)
	bad.Data = annexB(spsUnit[:5], ppsUnit, idrUnit)
	frames := given(t, keyFrame(0), deltaFrame(40), bad, deltaFrame(120), keyFrame(160), deltaFrame(200))
	if got := types(frames); got != "KDKD" {
		t.Errorf("got %s", got)
	}
}

func TestFrameWithoutPictureIsDropped(t *testing.T) {
	sei := &jt1078.Frame{DataType: jt1078.DataP, PayloadType: jt1078.PayloadH264, Timestamp: 20, Data: annexB([]byte{0x06, 0x05, 0x10, 0x80})}
	noise := &jt1078.Frame{DataType: jt1078.DataP, PayloadType: jt1078.PayloadH264, Timestamp: 30, Data: []byte("no start code in here")}
	if got := types(given(t, keyFrame(0), sei, noise, deltaFrame(40))); got != "KD" {
		t.Errorf("got %s", got)
	}
}

// AVS and SVAC are given on by the vehicle's word; passthrough by the time of its arrival.
func TestCodecsThatNobodyLooksInto(t *testing.T) {
	avs := func(dataType jt1078.DataType, timestamp uint64) *jt1078.Frame {
		return &jt1078.Frame{DataType: dataType, PayloadType: jt1078.PayloadAVS, Timestamp: timestamp, Data: []byte{1, 2, 3}}
	}
	data := &jt1078.Frame{DataType: jt1078.DataPassthrough, PayloadType: jt1078.PayloadPassthrough, Data: []byte{4}}
	frames := given(t, avs(jt1078.DataP, 0), avs(jt1078.DataI, 40), data, avs(jt1078.DataP, 80))
	if types(frames) != "KXD" || frames[0].Codec != media.CodecAVS || frames[1].Codec != media.CodecData {
		t.Errorf("got %s", types(frames))
	}
}

// Item 6: sound alone becomes a stream when no picture comes.
func TestSoundAlone(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	v := mustDial(t, h, liveKey)
	defer v.hangUp()
	c := mustSubscribe(t, h, liveKey)
	start := time.Now()
	for i := range 100 {
		at := time.Duration(i) * 40 * time.Millisecond
		if err := v.publisher.WriteFrame(audioFrame(uint64(at/time.Millisecond)), start.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	frames, states := drain(t, c)
	if len(frames) == 0 || len(frames) > 60 || states[len(states)-1].Stage != relayv1.Stage_STAGE_PLAYING {
		t.Errorf("%d frames, states %v", len(frames), states)
	}
}

func TestLateSubscriberBeginsWithTheCachedGroup(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	v := mustDial(t, h, liveKey)
	defer v.hangUp()
	v.send(keyFrame(0), deltaFrame(40), keyFrame(80), audioFrame(90), deltaFrame(120))
	c := mustSubscribe(t, h, liveKey)
	v.send(deltaFrame(160))
	state := waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	if state.CachedFrames != 3 || state.Epoch == 0 {
		t.Errorf("state %v", state)
	}
	frames, _ := drain(t, c)
	if got := types(frames); got != "KADD" || frames[0].Sequence != 3 {
		t.Errorf("got %s from %d", got, frames[0].Sequence)
	}
}

func TestCacheIsCapped(t *testing.T) {
	cfg := testConfig()
	cfg.GOPMaxBytes = 3 * len(keyData)
	h := newHub(t, cfg, nil)
	v := mustDial(t, h, liveKey)
	defer v.hangUp()
	v.send(keyFrame(0))
	for i := range 20 {
		v.send(deltaFrame(uint64(40 + 40*i)))
	}
	c := mustSubscribe(t, h, liveKey)
	v.send(deltaFrame(2000), keyFrame(2040), deltaFrame(2080))
	frames, states := drain(t, c)
	if got := types(frames); got != "KD" || states[0].CachedFrames != 0 {
		t.Errorf("got %s after %v", got, states)
	}
}

// With the server's memory used up nothing is kept, and what goes through goes on.
func TestCachesTogetherAreCapped(t *testing.T) {
	cfg := testConfig()
	cfg.GOPTotalBytes = segmentSize // one segment is in use at once, the second is too much
	h := newHub(t, cfg, nil)
	one, two := mustDial(t, h, liveKey), mustDial(t, h, mustKey("06495940943804"))
	defer one.hangUp()
	one.send(keyFrame(0), deltaFrame(40))
	if state := waitStage(t, mustSubscribe(t, h, liveKey), relayv1.Stage_STAGE_PLAYING); state.CachedFrames != 2 {
		t.Errorf("%d frames are cached while there is room", state.CachedFrames)
	}
	idr := keyFrame(0)
	idr.Data = annexB(idrUnit)
	two.send(keyFrame(0), idr) // the second behind its parameter sets
	c := mustSubscribe(t, h, mustKey("06495940943804"))
	two.send(deltaFrame(40), keyFrame(80))
	if frames, states := drain(t, c); types(frames) != "K" || states[0].CachedFrames != 0 {
		t.Errorf("got %s after %v", types(frames), states)
	}
	two.hangUp()
	one.send(keyFrame(80), deltaFrame(120))
	if state := waitStage(t, mustSubscribe(t, h, liveKey), relayv1.Stage_STAGE_PLAYING); state.CachedFrames != 2 {
		t.Errorf("%d frames are cached when there is room again", state.CachedFrames)
	}
}

// One encoded buffer serves the cache and every subscriber.
func TestFrameIsEncodedOnce(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	v := mustDial(t, h, liveKey)
	defer v.hangUp()
	a, b := mustSubscribe(t, h, liveKey), mustSubscribe(t, h, liveKey)
	v.send(keyFrame(0))
	waitStage(t, a, relayv1.Stage_STAGE_PLAYING)
	waitStage(t, b, relayv1.Stage_STAGE_PLAYING)
	one, err := a.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if &one.ReadOnlyData()[0] != &other.ReadOnlyData()[0] {
		t.Error("two subscribers, two copies")
	}
	one.Free()
	other.Free()
}

// A subscriber that stops reading loses frames up to a key frame; nobody else notices, the publisher least of all.
func TestSlowSubscriber(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Config)
		pace time.Duration // between the arrivals of frames
	}{
		{"too many frames", func(cfg *Config) { cfg.QueueMaxFrames = 64 }, 0},
		{"too many bytes", func(cfg *Config) { cfg.GOPMaxBytes, cfg.QueueMaxBytes = 30<<10, 64<<10 }, 0},
		{"too old", func(cfg *Config) { cfg.QueueMaxAge = time.Second }, 40 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig()
			c.set(&cfg)
			h := newHub(t, cfg, nil)
			v := mustDial(t, h, liveKey)
			defer v.hangUp()
			slow, fast := mustSubscribe(t, h, liveKey), mustSubscribe(t, h, liveKey)
			start := time.Now()
			const groups, size = 29, 10 // and one key frame more
			fastCount := 0
			for i := range groups*size + 1 {
				f := deltaFrame(uint64(40 * i))
				if i%size == 0 {
					f = keyFrame(uint64(40 * i))
				}
				if err := v.publisher.WriteFrame(f, start.Add(time.Duration(i)*c.pace)); err != nil {
					t.Fatal(err)
				}
				frames, _ := drain(t, fast)
				fastCount += len(frames)
			}
			if fastCount != groups*size+1 {
				t.Errorf("the other subscriber has %d of %d frames", fastCount, groups*size+1)
			}
			frames, states := drain(t, slow)
			if len(states) != 1 || states[0].Stage != relayv1.Stage_STAGE_PLAYING {
				t.Errorf("states %v, want the last one only", states)
			}
			if len(frames) == 0 || len(frames) >= groups*size || frames[0].Type != media.FrameKey {
				t.Errorf("%d frames: %s", len(frames), types(frames))
			}
			for i := 1; i < len(frames); i++ {
				if frames[i].Sequence != frames[i-1].Sequence+1 && frames[i].Type != media.FrameKey {
					t.Errorf("frame %d follows %d and is no key frame", frames[i].Sequence, frames[i-1].Sequence)
				}
			}
		})
	}
}

// Parameter sets and their key frame stay together even where the queue overflows between them.
func TestOverflowKeepsParameterSetsWithTheirKeyFrame(t *testing.T) {
	cfg := testConfig()
	cfg.QueueMaxFrames = 64
	h := newHub(t, cfg, nil)
	v := mustDial(t, h, liveKey)
	defer v.hangUp()
	c := mustSubscribe(t, h, liveKey)
	v.send(keyFrame(0))
	drain(t, c)
	for i := range 63 {
		v.send(deltaFrame(uint64(40 + 40*i)))
	}
	idr := keyFrame(5000)
	idr.Data = annexB(idrUnit)
	v.send(idr) // the sets are the 64th in the queue
	frames, _ := drain(t, c)
	if got := types(frames[len(frames)-2:]); got != "SK" {
		t.Errorf("the end is %s", got)
	}
}

// Item 26: two vehicles with one SIM. The one that sends is left alone, the other turned away and counted.
func TestTwoVehiclesWithOneSIM(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	first := mustDial(t, h, liveKey)
	first.send(keyFrame(0))
	if _, err := dial(t, h, liveKey); !errors.Is(err, ErrDuplicate) {
		t.Fatalf("second vehicle: %v", err)
	}
	first.send(deltaFrame(40))

	time.Sleep(h.Config.TakeOverAfter + 10*time.Millisecond)
	second := mustDial(t, h, liveKey)
	defer second.hangUp()
	if reason := <-first.ended; !errors.Is(reason, ErrTakenOver) {
		t.Errorf("the silent one was told %v", reason)
	}
	if err := first.publisher.WriteFrame(deltaFrame(80), time.Now()); !errors.Is(err, ErrTakenOver) {
		t.Errorf("the silent one's next frame: %v", err)
	}
	first.hangUp() // must not end the new one
	second.send(keyFrame(0), deltaFrame(40))
	c := mustSubscribe(t, h, liveKey)
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	if frames, _ := drain(t, c); types(frames) != "KD" {
		t.Errorf("got %s", types(frames))
	}
}

// A re-dial: the viewer stays, the clock and the sequence go on, the picture begins with a key frame.
func TestRedialKeepsTheClock(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	v := mustDial(t, h, liveKey)
	c := mustSubscribe(t, h, liveKey)
	v.send(keyFrame(500_000), deltaFrame(500_040))
	first := waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	v.hangUp()
	if state := waitStage(t, c, relayv1.Stage_STAGE_INTERRUPTED); state.Detail == "" {
		t.Error("an interruption without a reason")
	}
	v = mustDial(t, h, liveKey)
	defer v.hangUp()
	v.send(deltaFrame(7), keyFrame(47), deltaFrame(87))
	second := waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	if first.Epoch != second.Epoch {
		t.Error("the epoch has changed")
	}
	key, delta := nextFrame(t, c), nextFrame(t, c)
	if key.Type != media.FrameKey || key.Sequence != 3 || key.PTS < 40*time.Millisecond || delta.PTS-key.PTS != 40*time.Millisecond {
		t.Errorf("%d at %v, then %d at %v", key.Sequence, key.PTS, delta.Sequence, delta.PTS)
	}
}

func TestLimits(t *testing.T) {
	cfg := testConfig()
	cfg.MaxStreams, cfg.MaxSubscribers = 1, 2
	h := newHub(t, cfg, nil)
	mustSubscribe(t, h, liveKey)
	mustSubscribe(t, h, liveKey)
	if _, err := h.Subscribe(liveKey, "third"); !errors.Is(err, ErrTooManySubscribers) {
		t.Errorf("third subscriber: %v", err)
	}
	other := mustKey("06495940943804")
	if _, err := h.Subscribe(other, "test"); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("second stream: %v", err)
	}
	if _, err := dial(t, h, other); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("second vehicle: %v", err)
	}
}

// Wishes leave room for vehicles that send.
func TestWishesDoNotTakeAllStreams(t *testing.T) {
	cfg := testConfig()
	cfg.MaxStreams = 4
	h := newHub(t, cfg, nil)
	for i := range 3 {
		mustSubscribe(t, h, mustKey(fmt.Sprintf("0649594094380%d", i+1)))
	}
	last := mustKey("06495940943804")
	if _, err := h.Subscribe(last, "test"); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("a fourth wish: %v", err)
	}
	defer mustDial(t, h, last).hangUp()
	mustSubscribe(t, h, last)
	if _, err := dial(t, h, mustKey("06495940943805")); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("a fifth stream: %v", err)
	}
}

func TestStreamsAreThoseThatAreSentOrWaitedFor(t *testing.T) {
	cfg := testConfig()
	cfg.Start.ConnectUncommanded = 50 * time.Millisecond
	h := newHub(t, cfg, nil)
	v := mustDial(t, h, liveKey)
	c := mustSubscribe(t, h, mustKey("06495940943804"))
	if got := h.Streams(); len(got) != 2 {
		t.Errorf("%v, want one that is sent and one that is waited for", got)
	}
	_ = waitError(t, c) // its failure is remembered
	v.hangUp()
	if got := h.Streams(); len(got) != 0 {
		t.Errorf("%v, want none", got)
	}
}

func TestStreamsThatAreOverAreForgotten(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	v := mustDial(t, h, liveKey)
	h.sweep(time.Now())
	if len(h.streams) != 1 {
		t.Fatal("a stream was forgotten while its vehicle sends")
	}
	v.hangUp()
	h.sweep(time.Now())
	if len(h.streams) != 0 {
		t.Error("a stream without vehicle and subscribers is kept")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	v := mustDial(t, h, liveKey)
	v.send(keyFrame(0))
	c := mustSubscribe(t, h, liveKey)
	h.Close()
	if err := waitError(t, c); !errors.Is(err, ErrStopping) {
		t.Errorf("subscriber: %v", err)
	}
	if reason := <-v.ended; !errors.Is(reason, ErrStopped) {
		t.Errorf("publisher: %v", reason)
	}
	if _, err := h.Subscribe(liveKey, "late"); !errors.Is(err, ErrStopping) {
		t.Errorf("subscribe: %v", err)
	}
	if _, err := dial(t, h, liveKey); !errors.Is(err, ErrStopping) {
		t.Errorf("publish: %v", err)
	}
	if n := value(t, h.metrics.refused.WithLabelValues("stopping")); n != 1 {
		t.Errorf("%v vehicles turned away as the server stops, want 1", n)
	}
	v.publisher.Close(io.EOF)
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	v := mustDial(t, h, liveKey)
	defer v.hangUp()
	v.send(keyFrame(0))
	c := mustSubscribe(t, h, liveKey)
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	nextFrame(t, c)
	key, delta, timestamp := keyFrame(0), deltaFrame(0), uint64(0)
	group := func() {
		for i := range 50 {
			f := delta
			if i == 0 {
				f = key
			}
			timestamp += 40
			f.Timestamp = timestamp
			v.send(f)
			buffer, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			buffer.Free()
		}
	}
	group()
	// The collector may empty gRPC's pools in between, and under the race detector they drop objects on purpose.
	if n := testing.AllocsPerRun(20, group); n > 25 {
		t.Errorf("%v allocations for 50 frames", n)
	}
}
