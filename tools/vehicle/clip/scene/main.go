// Command scene paints what the simulated vehicle's cameras see and plays what its microphone hears, for make.sh: raw
// RGB frames, or with --sound 16-bit samples at 8 kHz, on standard output, which ffmpeg labels and encodes.
//
// Everything is periodic over the loop, so its end leads to its beginning without a seam. At every even second the
// lamp in the lower left corner flashes while the sound beeps, both for 120 ms.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
)

const (
	width, height = 704, 576
	// samples is how many points a pixel's colour is taken from, in each direction.
	samples = 2

	// The lamp and the beep, in seconds.
	syncEvery, syncFor = 2, 0.12
)

func main() {
	view := flag.String("view", "front", "which camera: front, rear, left or right")
	seconds := flag.Int("seconds", 6, "length of the loop")
	sound := flag.Bool("sound", false, "the sound instead of a picture")
	fps := flag.Int("fps", 25, "frames per second")
	flag.Parse()
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	if err := generate(out, *view, *sound, *seconds, *fps); err != nil {
		fmt.Fprintln(os.Stderr, "scene:", err)
		os.Exit(1)
	}
}

func generate(out *bufio.Writer, name string, sound bool, seconds, fps int) error {
	if sound {
		if err := play(out, seconds); err != nil {
			return err
		}
		return out.Flush()
	}
	scene, ok := views[name]
	if !ok {
		return fmt.Errorf("--view %q: want front, rear, left or right", name)
	}
	total := seconds * fps
	for n := range total {
		t := moment{turn: float64(n) / float64(total), seconds: float64(n) / float64(fps)}
		if _, err := out.Write(render(scene, t)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// moment is a time within the loop.
type moment struct {
	turn    float64 // 0 to 1 over the loop
	seconds float64
}

// wave swings between -1 and 1, n whole times over the loop.
func (t moment) wave(n int, phase float64) float64 {
	return math.Sin(2 * math.Pi * (float64(n)*t.turn + phase))
}

// view sets the scene for a moment.
type view func(t moment) painter

// painter gives the colour at a point. x goes from -1 to 1 over the picture's width, y in the same unit from the top
// of the picture, 0, to its bottom.
type painter func(x, y float64) colour

var views = map[string]view{
	"front": road(dayRoad),
	"rear":  road(eveningRoad),
	"left":  roadside(coast),
	"right": roadside(town),
}

// bottom is y at the lower edge of the picture.
const bottom = 2.0 * height / width

// render paints one frame, rows spread over the processors.
func render(v view, t moment) []byte {
	paint := withLamp(v(t), t)
	frame := make([]byte, width*height*3)
	rows := make(chan int, height)
	for row := range height {
		rows <- row
	}
	close(rows)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for row := range rows {
				for column := range width {
					c := pixel(paint, column, row)
					i := (row*width + column) * 3
					frame[i], frame[i+1], frame[i+2] = c.bytes()
				}
			}
		})
	}
	wg.Wait()
	return frame
}

func pixel(paint painter, column, row int) colour {
	var sum colour
	for i := range samples {
		for j := range samples {
			x := (float64(column) + (float64(i)+0.5)/samples) * 2 / width
			y := (float64(row) + (float64(j)+0.5)/samples) * 2 / width
			sum = sum.add(paint(x-1, y))
		}
	}
	return sum.scale(1.0 / (samples * samples))
}

// withLamp draws the sync lamp over the picture: lit for 120 ms from each even second.
func withLamp(paint painter, t moment) painter {
	glow := colour{0.22, 0.05, 0.05}
	if math.Mod(t.seconds, syncEvery) < syncFor-1e-6 {
		glow = colour{1, 1, 0.92}
	}
	return func(x, y float64) colour {
		switch d := length(x+0.87, y-(bottom-0.13)); {
		case d > 0.075:
			return paint(x, y)
		case d > 0.06:
			return colour{0.08, 0.08, 0.1}
		}
		return glow
	}
}
