package media

import (
	"math/rand/v2"
	"testing"
	"time"
)

// clockFrame is a frame stamped by the vehicle and arrived (both in ms), and the PTS it shall have.
type clockFrame struct {
	track     Track
	timestamp uint64
	arrival   int
	want      int
}

const epoch = 1_700_000_000_000

func TestClock(t *testing.T) {
	const v, a = TrackVideo, TrackAudio
	for _, c := range []struct {
		name   string
		frames []clockFrame
	}{
		{"the timestamps are followed, not the network", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 40, 75, 40}, {v, epoch + 80, 81, 80}, {v, epoch + 120, 300, 120}, {v, epoch + 160, 300, 160},
		}},
		{"from zero", []clockFrame{{v, 0, 0, 0}, {v, 40, 40, 40}, {v, 80, 80, 80}}},
		{"one origin for picture and sound", []clockFrame{
			{v, epoch, 0, 0}, {a, epoch + 15, 20, 15}, {v, epoch + 40, 45, 40}, {a, epoch + 55, 50, 55},
		}},
		{"sound begins seconds before the picture", []clockFrame{
			{a, epoch, 0, 0}, {a, epoch + 40, 40, 40}, {v, epoch + 2500, 2600, 2500}, {a, epoch + 2510, 2600, 2510},
		}},
		{"sound a little older than the first picture", []clockFrame{
			{v, epoch, 0, 0}, {a, epoch - 100, 10, 0}, {a, epoch - 60, 20, 1}, {a, epoch + 20, 30, 20},
		}},
		{"separate clocks are aligned by arrival", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 40, 40, 40}, {a, 0, 50, 50}, {a, 40, 95, 90}, {v, epoch + 80, 95, 80},
		}},
		{"constant", []clockFrame{{v, 7, 0, 0}, {v, 7, 40, 40}, {v, 7, 85, 85}, {v, 7, 120, 120}}},
		{"constant zero for picture and sound", []clockFrame{
			{v, 0, 0, 0}, {a, 0, 10, 0}, {v, 0, 40, 40}, {a, 0, 50, 40},
		}},
		{"zero at first, then a clock", []clockFrame{
			{v, 0, 0, 0}, {v, 0, 40, 40}, {v, epoch, 80, 80}, {v, epoch + 40, 130, 120},
		}},
		{"stands still for long and goes on", []clockFrame{
			{v, 1000, 0, 0}, {v, 1000, 1000, 1000}, {v, 1000, 2000, 2000}, {v, 1040, 2040, 2040}, {v, 1080, 2090, 2080},
		}},
		{"one timestamp for the parts of a picture", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch, 0, 1}, {v, epoch, 0, 2}, {v, epoch + 40, 40, 40},
		}},
		{"sound stamped in bursts", []clockFrame{
			{a, epoch, 0, 0}, {a, epoch, 1, 1}, {a, epoch, 1, 2}, {a, epoch + 120, 121, 120}, {a, epoch + 120, 121, 121},
		}},
		{"jitter is held in its place", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 80, 40, 80}, {v, epoch + 40, 80, 81}, {v, epoch + 120, 120, 120},
		}},
		{"jumps back", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 40, 40, 40}, {v, 5000, 80, 80}, {v, 5040, 125, 120},
		}},
		{"jumps ahead", []clockFrame{
			{v, 5000, 0, 0}, {v, 5040, 40, 40}, {v, epoch, 80, 80}, {v, epoch + 40, 125, 120},
		}},
		{"picture and sound jump together and stay together", []clockFrame{
			{v, 5000, 0, 0}, {a, 5010, 15, 10}, {v, 5040, 40, 40}, {a, 5050, 55, 50},
			{v, epoch, 80, 75}, {a, epoch + 10, 120, 85}, {v, epoch + 40, 125, 115}, {a, epoch + 50, 125, 125},
		}},
		{"a single wild timestamp", []clockFrame{
			{v, epoch, 0, 0}, {a, epoch + 10, 10, 10}, {v, 99, 40, 40}, {a, epoch + 50, 50, 50}, {v, epoch + 80, 80, 80},
		}},
		{"wraps around", []clockFrame{{v, 1<<64 - 20, 0, 0}, {v, 20, 40, 40}}},
		{"a burst of what the vehicle had kept", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 1000, 1, 1000}, {v, epoch + 2000, 2, 2000}, {v, epoch + 2040, 40, 2040},
		}},
		{"the connection stalls and catches up", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 40, 8000, 40}, {v, epoch + 2000, 8001, 2000}, {v, epoch + 4000, 8002, 4000}, {v, epoch + 6000, 8003, 6000},
		}},
		{"a pause that the vehicle's clock knows of", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 180_000, 180_010, 180_000},
		}},
		{"a pause that the vehicle's clock does not know of", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 40, 180_000, 180_000}, {v, epoch + 80, 180_040, 180_040},
		}},
		{"a clock that runs away is followed by arrival as soon as it leads too far", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 2500, 40, 2500}, {v, epoch + 5000, 80, 2540}, {v, epoch + 7500, 120, 2580}, {v, epoch + 10_000, 160, 2620},
		}},
		{"picture and sound of a clock that runs away stay together", []clockFrame{
			{v, epoch, 0, 0}, {a, epoch + 20, 10, 20}, {v, epoch + 2500, 40, 2500}, {a, epoch + 2520, 50, 2520},
			{v, epoch + 5000, 80, 2550}, {a, epoch + 5020, 90, 2570}, {v, epoch + 5040, 130, 2590},
		}},
		{"a second burst, after the first was made up for", []clockFrame{
			{v, epoch, 0, 0}, {v, epoch + 2000, 1, 2000}, {v, epoch + 2040, 2040, 2040}, {v, epoch + 4040, 2041, 4040},
		}},
		{"a re-dial with the same clock", []clockFrame{
			{v, epoch, 0, 0}, {a, epoch + 10, 10, 10}, {v, epoch + 5000, 5030, 5000}, {a, epoch + 5010, 5040, 5010},
		}},
		{"a re-dial with a clock from zero", []clockFrame{
			{v, 0, 0, 0}, {a, 10, 10, 10}, {v, 20_000, 20_000, 20_000}, {a, 20_010, 20_010, 20_010},
			{v, 0, 24_000, 24_000}, {a, 10, 24_030, 24_010}, {v, 40, 24_050, 24_040},
		}},
	} {
		var clock Clock
		start := time.Now()
		for i, f := range c.frames {
			got := clock.PTS(f.track, f.timestamp, start.Add(time.Duration(f.arrival)*time.Millisecond))
			if want := time.Duration(f.want) * time.Millisecond; got != want {
				t.Errorf("%s: frame %d (track %d, stamped %d, arrived at %d): PTS %v, want %v", c.name, i, f.track, f.timestamp, f.arrival, got, want)
			}
		}
	}
}

func TestClockOfFramesWithoutTimestamp(t *testing.T) {
	var clock Clock
	start := time.Now()
	clock.PTS(TrackVideo, epoch, start)
	if got := clock.Arrived(TrackData, start.Add(30*time.Millisecond)); got != 30*time.Millisecond {
		t.Errorf("PTS %v", got)
	}
	if got := clock.PTS(TrackVideo, epoch+40, start.Add(50*time.Millisecond)); got != 40*time.Millisecond {
		t.Errorf("the picture's PTS %v", got)
	}
}

// Whatever a vehicle writes, a track's PTS rise, and the stream keeps pace with time within the tolerances.
func TestClockNeverGoesBack(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var clock Clock
		var last [trackCount]time.Duration
		var seen [trackCount]bool
		start := time.Now()
		arrival, timestamp := start, random.Uint64()
		for range 500 {
			track := Track(random.IntN(int(trackCount)))
			arrival = arrival.Add(time.Duration(random.IntN(80)) * time.Millisecond)
			switch random.IntN(30) {
			case 0:
				timestamp = random.Uint64()
			case 1:
				timestamp -= uint64(random.IntN(100_000))
			case 2:
				arrival = arrival.Add(time.Duration(random.IntN(60)) * time.Second)
			case 3:
			default:
				timestamp += uint64(random.IntN(80))
			}
			pts := clock.PTS(track, timestamp, arrival)
			if seen[track] && pts < last[track]+minStep || pts < 0 {
				t.Fatalf("seed %d: track %d went from %v to %v", seed, track, last[track], pts)
			}
			seen[track], last[track] = true, pts
		}
		passed := arrival.Sub(start)
		for track := range trackCount {
			if ahead := last[track] - passed; ahead > maxAhead+500*minStep {
				t.Errorf("seed %d: track %d is %v ahead after %v", seed, track, ahead, passed)
			}
		}
	}
}

// A vehicle whose clock runs a little fast plays smoothly when its lead is used up, too, picture and sound together.
func TestClockOfAFastVehicle(t *testing.T) {
	const frames = 50_000 // 33 minutes of 25 a second: a lead of 20 s, by the vehicle
	random := rand.New(rand.NewPCG(1, 2))
	var clock Clock
	start := time.Now()
	var last time.Duration
	for i := range frames {
		stamp := uint64(epoch + 40*i)
		arrival := start.Add(time.Duration(i)*39_600*time.Microsecond + time.Duration(random.IntN(20))*time.Millisecond)
		video := clock.PTS(TrackVideo, stamp, arrival)
		audio := clock.PTS(TrackAudio, stamp, arrival)
		if step := video - last; i > 0 && (step < 15*time.Millisecond || step > 65*time.Millisecond) {
			t.Fatalf("frame %d: a step of %v", i, step)
		}
		if apart := audio - video; apart.Abs() > 40*time.Millisecond {
			t.Fatalf("frame %d: sound is %v from the picture", i, apart)
		}
		if lead := video - arrival.Sub(start); lead > maxAhead+40*time.Millisecond {
			t.Fatalf("frame %d: %v ahead", i, lead)
		}
		last = video
	}
}

func BenchmarkClock(b *testing.B) {
	var clock Clock
	arrival, timestamp := time.Now(), uint64(epoch)
	b.ReportAllocs()
	for b.Loop() {
		arrival = arrival.Add(40 * time.Millisecond)
		timestamp += 40
		clock.PTS(TrackVideo, timestamp, arrival)
	}
}
