package relay

import (
	"fmt"
	"testing"
	"time"

	"multi_process_server/pkg/media"
)

// step is one thing that reaches a continuity: a connection (0 frames), a state, or a frame and what is wanted of it.
type step struct {
	connected bool
	state     bool
	epoch     uint64
	cached    int

	sequence uint64
	typ      media.FrameType
	pts      int // ms
	received int // ms
	now      int // ms; 0 means as received

	want     verdict
	wantLost uint64
	wantPTS  int // ms
}

const (
	key   = media.FrameKey
	delta = media.FrameDelta
	sets  = media.FrameParameterSets
	audio = media.FrameAudio
)

func connect() step                         { return step{connected: true} }
func playing(epoch uint64, cached int) step { return step{state: true, epoch: epoch, cached: cached} }

// frame is one that is received 1 s after its PTS and handed over as it is.
func frame(sequence uint64, typ media.FrameType, pts int) step {
	return step{sequence: sequence, typ: typ, pts: pts, received: pts + 1000, wantPTS: pts}
}

func (s step) at(received int) step     { s.received = received; return s }
func (s step) seenAt(now int) step      { s.now = now; return s }
func (s step) becomes(pts int) step     { s.wantPTS = pts; return s }
func (s step) gets(v verdict) step      { s.want = v; return s }
func (s step) loses(frames uint64) step { s.wantLost = frames; return s }

func TestContinuity(t *testing.T) {
	epoch := time.Unix(1_800_000_000, 0)
	for name, steps := range map[string][]step{
		"from the first frame on": {
			connect(), playing(1, 0),
			frame(1, sets, 0), frame(2, key, 0), frame(3, audio, 10), frame(4, delta, 40),
		},
		"the stream's own clock is kept": {
			connect(), playing(1, 3),
			frame(100, sets, 7_000), frame(101, key, 7_000), frame(104, delta, 7_040), frame(109, delta, 7_080),
		},
		"video waits for a key frame, sound does not": {
			connect(), playing(1, 0),
			frame(5, delta, 200).gets(noKeyYet), frame(6, audio, 210), frame(7, sets, 240), frame(8, delta, 240).gets(noKeyYet), frame(9, key, 280), frame(10, delta, 320),
		},
		"a gap ends the group": {
			connect(), playing(1, 0),
			frame(1, key, 0), frame(2, delta, 40),
			frame(5, delta, 160).gets(noKeyYet).loses(2), frame(6, audio, 170), frame(7, delta, 200).gets(noKeyYet), frame(8, key, 240), frame(9, delta, 280),
		},
		"numbers missing in the cache and after it are no loss": {
			connect(), playing(1, 2),
			frame(10, key, 400), frame(13, delta, 440), frame(15, delta, 480), frame(17, delta, 520).gets(noKeyYet).loses(1),
		},
		"reconnected, the cache reaches back": {
			connect(), playing(1, 0),
			frame(1, key, 0), frame(2, delta, 40), frame(3, audio, 50), frame(4, delta, 80),
			connect(), playing(1, 4),
			frame(1, key, 0).gets(repeated), frame(2, delta, 40).gets(repeated), frame(4, delta, 80).gets(repeated), frame(6, delta, 120),
			frame(8, delta, 160),
		},
		"reconnected, the cache begins later": {
			connect(), playing(1, 0),
			frame(1, key, 0), frame(2, delta, 40),
			connect(), playing(1, 3),
			frame(1, sets, 0).gets(repeated), frame(10, key, 400).loses(7), frame(11, delta, 440),
		},
		"reconnected, nothing was missed": {
			connect(), playing(1, 0),
			frame(1, key, 0), frame(2, delta, 40),
			connect(), playing(1, 0),
			frame(3, delta, 80), frame(4, delta, 120),
		},
		"reconnected without a cache": {
			connect(), playing(1, 0),
			frame(1, key, 0), frame(2, delta, 40),
			connect(), playing(1, 0),
			frame(6, delta, 200).gets(noKeyYet).loses(3), frame(7, key, 240),
		},
		"another epoch goes on by the time of reception": {
			connect(), playing(1, 0),
			frame(900, key, 36_000), frame(901, delta, 36_040),
			connect(), playing(2, 2),
			frame(1, key, 0).at(39_040).seenAt(40_000).becomes(38_040),
			frame(2, delta, 40).at(39_080).becomes(38_080),
			frame(3, audio, 20).at(39_090).becomes(38_060),
		},
		"another epoch, video waits for its key frame": {
			connect(), playing(1, 0),
			frame(1, key, 0), frame(2, delta, 40),
			connect(), playing(2, 0),
			frame(1, delta, 0).at(3_040).gets(noKeyYet),
			frame(2, key, 40).at(3_080).becomes(2_080),
		},
		"another epoch by a node whose clock is behind": {
			connect(), playing(1, 0),
			frame(1, key, 60_000),
			connect(), playing(2, 0),
			frame(1, key, 0).at(10_000).seenAt(63_000).becomes(62_000),
		},
		"another epoch by a node whose clock is ahead": {
			connect(), playing(1, 0),
			frame(1, key, 0),
			connect(), playing(2, 0),
			frame(1, key, 0).at(500_000).seenAt(3_000).becomes(2_000),
		},
		"another epoch within one connection": {
			connect(), playing(1, 0),
			frame(50, key, 2_000), frame(51, delta, 2_040),
			playing(2, 0),
			frame(1, key, 0).at(4_040).becomes(3_040),
		},
		"states without an epoch change nothing": {
			connect(), playing(1, 0),
			frame(1, key, 0),
			connect(), playing(0, 0), playing(1, 0),
			frame(2, delta, 40),
		},
		"a node that names no epoch": {
			connect(), playing(0, 0),
			frame(1, key, 0), frame(2, delta, 40),
			connect(), playing(0, 0),
			frame(1, key, 0).at(2_040).becomes(1_040),
		},
		"no track ever goes back": {
			connect(), playing(1, 0),
			frame(1, key, 1_000), frame(2, audio, 900), frame(3, delta, 960).becomes(1_000), frame(4, audio, 880).becomes(900), frame(5, media.FrameData, 10),
		},
		"a connection that brought nothing": {
			connect(), playing(1, 0),
			frame(1, key, 0),
			connect(), playing(2, 0),
			connect(), playing(2, 0),
			frame(1, key, 0).at(2_000).becomes(1_000),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c continuity
			for i, s := range steps {
				switch {
				case s.connected:
					c.connected()
					continue
				case s.state:
					c.state(s.epoch, s.cached)
					continue
				}
				if s.now == 0 {
					s.now = s.received
				}
				ms := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Millisecond) }
				f := &media.Frame{Sequence: s.sequence, Type: s.typ, PTS: time.Duration(s.pts) * time.Millisecond, Received: ms(s.received)}
				v, lost := c.frame(f, ms(s.now))
				got := fmt.Sprintf("verdict %d, lost %d", v, lost)
				want := fmt.Sprintf("verdict %d, lost %d", s.want, s.wantLost)
				if v == handOver {
					got += fmt.Sprint(", PTS ", f.PTS)
					want += fmt.Sprint(", PTS ", time.Duration(s.wantPTS)*time.Millisecond)
				}
				if got != want {
					t.Errorf("step %d, sequence %d: %s; want %s", i, s.sequence, got, want)
				}
			}
		})
	}
}
