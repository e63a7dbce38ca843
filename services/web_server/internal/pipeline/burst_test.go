package pipeline

import (
	"testing"
	"time"

	"multi_process_server/pkg/media"
)

// Pictures keep their order of decoding and of presentation, and the last keeps its time.
func TestBurstKeepsTheOrder(t *testing.T) {
	format := &Format{Codec: media.CodecH264}
	const ms = time.Millisecond
	for name, times := range map[string][][2]time.Duration{ // DTS, PTS
		"one":                  {{7000 * ms, 7000 * ms}},
		"in order":             {{0, 0}, {40 * ms, 40 * ms}, {80 * ms, 80 * ms}},
		"B-frames":             {{1000 * ms, 1080 * ms}, {1040 * ms, 1200 * ms}, {1080 * ms, 1120 * ms}, {1120 * ms, 1160 * ms}, {1160 * ms, 1320 * ms}},
		"dense, then a pause":  {{9000 * ms, 9000 * ms}, {9001 * ms, 9001 * ms}, {9002 * ms, 9002 * ms}, {9900 * ms, 9900 * ms}},
		"a pause, then dense":  {{9000 * ms, 9000 * ms}, {9900 * ms, 9900 * ms}, {9901 * ms, 9901 * ms}, {9902 * ms, 9902 * ms}},
		"denser than possible": {{0, 0}, {1 * ms, 1 * ms}, {2 * ms, 2 * ms}},
	} {
		for _, pause := range []time.Duration{0, 20 * time.Second} {
			var group []*Unit
			for _, at := range times {
				group = append(group, &Unit{Format: format, DTS: at[0], PTS: at[1]})
			}
			units := burst(group, pause)
			last := units[len(units)-1]
			if want := max(pause, group[len(group)-1].DTS); last.DTS != want {
				t.Errorf("%s: ends at %v, want %v", name, last.DTS, want)
			}
			for i, u := range units {
				if u.PTS < u.DTS || u.DTS%ms != 0 || u.PTS%ms != 0 || u.DTS < 0 {
					t.Errorf("%s: %d: PTS %v, DTS %v", name, i, u.PTS, u.DTS)
				}
				if i > 0 && u.DTS <= units[i-1].DTS {
					t.Errorf("%s: %d: DTS %v after %v", name, i, u.DTS, units[i-1].DTS)
				}
				for j := range i {
					if (group[i].PTS < group[j].PTS) != (u.PTS < units[j].PTS) && u.PTS != units[j].PTS {
						t.Errorf("%s: %d and %d have changed places", name, j, i)
					}
				}
			}
		}
	}
	if burst(nil, 0) != nil {
		t.Error("a burst of nothing")
	}
}
