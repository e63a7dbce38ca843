package rtsp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format"

	"multi_process_server/pkg/media"
)

// A small H.264 stream's sets: 320 × 240, baseline.
var (
	testSPS = []byte{0x67, 0x42, 0xc0, 0x14, 0xda, 0x05, 0x07, 0xec, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0xa8}
	testPPS = []byte{0x68, 0xce, 0x3c, 0x80}
)

func annexB(nalus ...[]byte) []byte {
	var data []byte
	for _, nalu := range nalus {
		data = append(append(data, 0, 0, 0, 1), nalu...)
	}
	return data
}

func TestVideoUnits(t *testing.T) {
	idr, slice, sei := []byte{0x65, 1, 2, 3}, []byte{0x41, 1, 2, 3}, []byte{0x06, 1, 2, 3}
	fragment, filler, forbidden := []byte{0x7c, 0x85, 1, 2}, []byte{0x0c, 0xff, 0xff}, []byte{0xe5, 1, 2}
	v, err := newVideo(media.CodecH264)
	if err != nil {
		t.Fatal(err)
	}
	stap := func(nalus ...[]byte) [][]byte {
		packet := []byte{24}
		for _, nalu := range nalus {
			packet = append(append(packet, byte(len(nalu)>>8), byte(len(nalu))), nalu...)
		}
		return [][]byte{packet}
	}
	badSPS := []byte{0x67, 0x42, 0xc0}
	for _, test := range []struct {
		name    string
		typ     media.FrameType
		data    []byte
		want    [][]byte
		key     bool
		changed bool
		err     error
	}{
		{"a key frame before its sets", media.FrameKey, annexB(idr), [][]byte{idr}, false, false, nil},
		{"a malformed SPS", media.FrameKey, annexB(badSPS, testPPS, idr), stap(badSPS, testPPS, idr), false, true, media.ErrParameterSet},
		{"with sets", media.FrameKey, annexB(testSPS, testPPS, idr), stap(testSPS, testPPS, idr), true, true, nil},
		{"without sets", media.FrameKey, annexB(idr), stap(testSPS, testPPS, idr), true, false, nil},
		{"a malformed SPS is replaced", media.FrameKey, annexB(badSPS, idr), stap(testSPS, testPPS, idr), true, false, media.ErrParameterSet},
		{"a key frame that is none", media.FrameKey, annexB(slice), [][]byte{slice}, false, false, nil},
		{"delta", media.FrameDelta, annexB(sei, slice), stap(sei, slice), false, false, nil},
		{"types that RTP has for itself", media.FrameDelta, annexB(fragment, filler, forbidden, slice), [][]byte{slice}, false, false, nil},
		{"no picture", media.FrameDelta, annexB(sei), nil, false, false, errNoPicture},
		{"nothing", media.FrameDelta, nil, nil, false, false, errNoPicture},
		{"no start code", media.FrameKey, idr, nil, false, false, errNoPicture},
	} {
		u, changed, err := v.unit(&media.Frame{Type: test.typ, Codec: media.CodecH264, Data: test.data, PTS: time.Second})
		if !errors.Is(err, test.err) || changed != test.changed || (u == nil) != (test.want == nil) {
			t.Errorf("%s: unit %v, changed %v, error %v", test.name, u, changed, err)
			continue
		}
		if u == nil {
			continue
		}
		if !slices.EqualFunc(u.payloads, test.want, bytes.Equal) || u.key != test.key || u.timestamp != 90000 {
			t.Errorf("%s: %x key %v at %d, want %x key %v at 90000", test.name, u.payloads, u.key, u.timestamp, test.want, test.key)
		}
	}
	if _, err := newVideo(media.CodecAVS); err == nil {
		t.Error("AVS is not refused")
	}
}

// FuzzFrames looks for frames of a vehicle that make anything panic, up to the packets' limits.
func FuzzFrames(f *testing.F) {
	f.Add(uint8(media.CodecH264), uint8(media.FrameKey), annexB(testSPS, testPPS, []byte{0x65, 1, 2, 3}))
	f.Add(uint8(media.CodecH264), uint8(media.FrameDelta), annexB(bytes.Repeat([]byte{0x41}, 3000)))
	f.Add(uint8(media.CodecH265), uint8(media.FrameKey), annexB([]byte{0x26, 1}, []byte{0x40, 1}, bytes.Repeat([]byte{0x26, 1}, 2000)))
	f.Add(uint8(media.CodecG711U), uint8(media.FrameAudio), bytes.Repeat([]byte{1}, 5000))
	f.Add(uint8(media.CodecG726), uint8(media.FrameAudio), []byte{0, 1, 2, 0, 9, 9})
	f.Add(uint8(media.CodecAAC), uint8(media.FrameAudio), adts(2, bytes.Repeat([]byte{1}, 3000)))
	f.Fuzz(func(t *testing.T, codec, typ uint8, data []byte) {
		frame := &media.Frame{Type: media.FrameType(typ), Codec: media.Codec(codec), Data: data}
		var units []*unit
		if v, err := newVideo(frame.Codec); err == nil {
			v.observe(data) //nolint:errcheck // malformed sets are the point
			u, _, _ := v.unit(frame)
			if u != nil {
				units = append(units, u)
			}
			v.update(v.format())
			v.format().FMTP()
		}
		s := &sound{}
		more, _ := s.units(frame, 0)
		for _, u := range append(units, more...) {
			if len(u.payloads) == 0 {
				t.Error("a unit without packets")
			}
			for _, payload := range u.payloads {
				if len(payload) == 0 || len(payload) > maxPayload {
					t.Errorf("a payload of %d bytes", len(payload))
				}
			}
		}
	})
}

func TestSoundTimes(t *testing.T) {
	s := &sound{}
	ms := func(n int64) int64 { return 8 * n }
	steps := []struct {
		name string
		pts  int64 // ms
		want int64 // ms, -1 for nothing
	}{
		{"starts where it is", 1000, 1000},
		{"follows", 1040, 1040},
		{"jitters", 1095, 1080},
		{"comes in a burst", 1095, 1120},
		{"comes in a burst", 1095, 1160},
		{"goes on", 1200, 1200},
		{"is missing for a while", 2000, 2000},
		{"there is too much", 1600, -1},
		{"and then not any more", 2040, 2040},
	}
	for _, step := range steps {
		units, err := s.units(&media.Frame{Codec: media.CodecG711A, PTS: time.Duration(step.pts) * time.Millisecond, Data: make([]byte, 320)}, time.Duration(step.pts)*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		got := int64(-1)
		if len(units) == 1 {
			got = units[0].timestamp / 8
		}
		if got != step.want {
			t.Errorf("%s: sound of %d ms is sent at %d, want %d", step.name, step.pts, got, step.want)
		}
	}

	// Long packets are cut, and what is cut fits together.
	units, err := s.units(&media.Frame{Codec: media.CodecG711U, PTS: 5 * time.Second, Data: make([]byte, 3000)}, 5*time.Second)
	if err != nil || len(units) != 3 || units[2].timestamp != ms(5000)+2*maxPayload || units[2].size != 200 {
		t.Errorf("3,000 samples: %d units, %v", len(units), err)
	}
}

// TestSoundRateIsFound has a vehicle send PCM at a rate that only its timestamps tell.
func TestSoundRateIsFound(t *testing.T) {
	const rate, packet = 16000, 640 // 40 ms of samples
	s := &sound{}
	var last, samples int64
	for n := range int64(100) {
		data := make([]byte, 2*packet)
		for i := range packet {
			sample := int16(8000 * math.Sin(2*math.Pi*440*float64(n*packet+int64(i))/rate))
			binary.LittleEndian.PutUint16(data[2*i:], uint16(sample))
		}
		pts := time.Duration(n) * 40 * time.Millisecond
		units, err := s.units(&media.Frame{
			Type: media.FrameAudio, Codec: media.CodecPCM, PayloadType: 23, PTS: pts,
			VehicleTimestamp: uint64(5000 + n*40), Data: data,
		}, pts)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range units {
			if n >= 50 { // what was too much before the rate was known has been worked off
				if u.timestamp != last {
					t.Errorf("packet %d is stamped %d, want %d", n, u.timestamp, last)
				}
				samples += int64(u.size)
			}
			last = u.timestamp + int64(u.size)
		}
	}
	if samples != 50*320 {
		t.Errorf("2 s of sound became %d samples, want %d", samples, 50*320)
	}
}

// adts puts a header before an access unit: 32 kHz, mono; object type 2 is AAC-LC.
func adts(objectType byte, accessUnit []byte) []byte {
	length := 7 + len(accessUnit)
	return append([]byte{0xff, 0xf1, (objectType-1)<<6 | 5<<2, 1<<6 | byte(length>>11), byte(length >> 3), byte(length<<5) | 0x1f, 0xfc}, accessUnit...)
}

func TestAACOffer(t *testing.T) {
	s := &sound{}
	send := func(objectType byte, size int) ([]*unit, error) {
		return s.units(&media.Frame{Type: media.FrameAudio, Codec: media.CodecAAC, PayloadType: 19, PTS: time.Second, Data: adts(objectType, make([]byte, size))}, time.Second)
	}
	if units, err := send(2, 3000); err != nil || len(units) != 1 || len(units[0].payloads) != 3 || units[0].timestamp != 32000 || !units[0].marked {
		t.Fatalf("AAC-LC: %v, %v; want 3 packets at 32000", units, err)
	}
	if f, ok := s.format().(*format.MPEG4Audio); !ok || f.ClockRate() != 32000 || f.RTPMap() != "mpeg4-generic/32000/1" {
		t.Errorf("the offer is %v", s.format())
	}
	if units, err := send(1, 300); err == nil || len(units) != 0 {
		t.Errorf("AAC main: %v, %v; want an error", units, err)
	}
	if s.clock() != 32000 || len(s.silence(3*time.Second)) == 0 {
		t.Error("the offer does not stand after one that cannot be made")
	}
	s.fixed = true
	if units, err := s.units(&media.Frame{Codec: media.CodecG711A, PTS: 4 * time.Second, Data: make([]byte, 320)}, 4*time.Second); !errors.Is(err, errOffered) || len(units) != 0 {
		t.Errorf("G.711 where AAC is offered: %v, %v", units, err)
	}
	s = &sound{fixed: true}
	if units, err := send(2, 300); !errors.Is(err, errOffered) || len(units) != 0 {
		t.Errorf("AAC where G.711 is offered: %v, %v", units, err)
	}
}

func TestSilence(t *testing.T) {
	s := &sound{fixed: true, ulaw: true}
	expect := func(picture int64, want ...int64) {
		t.Helper()
		var got []int64
		for _, u := range s.silence(time.Duration(picture) * time.Millisecond) {
			got = append(got, u.timestamp/8)
			if u.payloads[0][0] != 0xff {
				t.Errorf("silence is %x", u.payloads[0][0])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("picture at %d: silence at %v, want %v", picture, got, want)
		}
	}
	hear := func(pts, picture int64) int {
		t.Helper()
		units, err := s.units(&media.Frame{Codec: media.CodecG711A, PTS: time.Duration(pts) * time.Millisecond, Data: make([]byte, 320)}, time.Duration(picture)*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		return len(units)
	}
	expect(1000, 960)
	expect(1100, 1000, 1040)
	expect(1130, 1080)
	if hear(1120, 1130) != 1 { // at 1120, where silence ends
		t.Error("the first sound is left out")
	}
	expect(1200)
	expect(1600)
	expect(1640, 1160, 1200, 1240, 1280, 1320, 1360, 1400, 1440, 1480, 1520, 1560, 1600)
	expect(9000, 8960)
	if hear(8000, 9000) != 0 {
		t.Error("sound older than the silence is sent")
	}
	expect(9100) // it has been heard: time for it to catch up
	if hear(8990, 9100) != 1 {
		t.Error("sound that has caught up is left out")
	}
}

func TestBurst(t *testing.T) {
	const frame = 3600
	group := func(n int) (gop []*unit) {
		for i := range n {
			gop = append(gop, &unit{timestamp: 90000 + int64(i)*frame})
		}
		return gop
	}
	for _, test := range []struct {
		name     string
		gop      []*unit
		behind   time.Duration
		earliest int64
		start    int64
	}{
		{"empty", nil, 2 * time.Second, -1, 90000 + 49*frame},
		{"short: as it is", group(50), 2 * time.Second, -1, 90000},
		{"long: squeezed", group(250), 2 * time.Second, -1, 90000 + 249*frame - 180000},
		{"very long", group(2500), time.Second, -1, 90000 + 2499*frame - 90000},
		{"after a pause", group(50), 2 * time.Second, 90000 + 40*frame, 90000 + 40*frame},
		{"after a pause of nothing", group(50), 2 * time.Second, 90000 + 60*frame, 90000 + 49*frame},
		{"not behind at all", group(50), 0, -1, 90000 + 49*frame},
	} {
		edge := int64(90000 + 49*frame)
		if len(test.gop) > 0 {
			edge = test.gop[len(test.gop)-1].timestamp
		}
		b := newBurst(test.gop, edge, test.behind, test.earliest)
		if b.start() != test.start {
			t.Errorf("%s: starts at %d, want %d", test.name, b.start(), test.start)
		}
		last := int64(-1)
		for _, u := range test.gop {
			stamp := b.stamp(u.timestamp)
			if stamp < last || stamp == last && test.start < edge || stamp > edge {
				t.Errorf("%s: %d is stamped %d after %d", test.name, u.timestamp, stamp, last)
			}
			last = stamp
		}
		if got := b.stamp(edge + frame); got != edge+frame {
			t.Errorf("%s: live is stamped %d, want %d", test.name, got, edge+frame)
		}
	}
}

func TestTicks(t *testing.T) {
	year := 365 * 24 * time.Hour
	for _, clock := range []clock{videoClock, g711Clock, 44100} {
		if got, want := clock.ticks(year+time.Second)-clock.ticks(year), int64(clock); got != want {
			t.Errorf("a second after a year is %d ticks of %d Hz", got, want)
		}
		if got := clock.duration(clock.ticks(year)); got != year {
			t.Errorf("%d Hz: %v came back as %v", clock, year, got)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"":                                    func(*Config) {},
		"rtsp.address: ":                      func(c *Config) { c.Address = "9521" },
		"rtsp.rtp_address and rtsp.rtcp_addr": func(c *Config) { c.RTPAddress = "" },
		"rtsp.rtp_address: port 9527 is not":  func(c *Config) { c.RTPAddress = ":9527" },
		"rtsp.rtcp_address: port 9525 is not": func(c *Config) { c.RTCPAddress = ":9525" },
		"rtsp.lease: ":                        func(c *Config) { c.Lease = 0 },
		"rtsp.max_behind: ":                   func(c *Config) { c.MaxBehind = -1 },
		"rtsp.no_video: ":                     func(c *Config) { c.NoVideo = 0 },
		"rtsp.max_viewers: ":                  func(c *Config) { c.MaxViewers = 0 },
		"rtsp.max_connections: ":              func(c *Config) { c.MaxConnections = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		switch err := c.Validate(); {
		case want == "" && err != nil:
			t.Errorf("the defaults: %v", err)
		case want != "" && (err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want):
			t.Errorf("%v, want %s…", err, want)
		}
	}
	off := DefaultConfig()
	off.RTPAddress, off.RTCPAddress = "", ""
	if err := off.Validate(); err != nil {
		t.Errorf("without UDP: %v", err)
	}
}
