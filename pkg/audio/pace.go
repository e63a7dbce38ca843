package audio

import (
	"math"
	"slices"
)

// pace finds how many bytes a vehicle sends in a second, from the timestamps of its packets.
type pace struct {
	started bool
	last    uint64
	length  int // of the packet at last

	lengths [paceWindow]int
	steps   [paceWindow]int // ms from each of those packets to the next
	n       int
}

const (
	paceWindow = 16
	paceMaxGap = 1000 // ms; more is a pause, not a packet's duration
)

// add takes a packet. It reports the bytes per second once a window of packets is full and tells something: the mean
// and the median step must agree, which they do with packets stamped in pairs and with jitter, but not with pauses,
// jumps or a clock that stands still. Every answer begins a new window.
func (p *pace) add(timestamp uint64, length int) (perSecond float64, ok bool) {
	step := timestamp - p.last
	if !p.started || timestamp < p.last || step > paceMaxGap {
		p.started, p.last, p.length, p.n = true, timestamp, length, 0
		return 0, false
	}
	p.lengths[p.n], p.steps[p.n] = p.length, int(step)
	p.last, p.length = timestamp, length
	p.n++
	if p.n < paceWindow {
		return 0, false
	}
	p.n = 0
	var bytes, total int
	for i := range paceWindow {
		bytes += p.lengths[i]
		total += p.steps[i]
	}
	slices.Sort(p.steps[:])
	median := float64(p.steps[paceWindow/2-1]+p.steps[paceWindow/2]) / 2
	mean := float64(total) / paceWindow
	if median == 0 || math.Abs(mean-median) > median/8 {
		return 0, false
	}
	return float64(bytes) / paceWindow / median * 1000, true
}

// near reports whether x is want within a share of it.
func near(x, want, share float64) bool { return math.Abs(x-want) <= want*share }
