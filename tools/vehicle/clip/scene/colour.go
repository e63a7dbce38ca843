package main

import "math"

// colour is red, green and blue, each 0 to 1.
type colour [3]float64

func (c colour) add(d colour) colour    { return colour{c[0] + d[0], c[1] + d[1], c[2] + d[2]} }
func (c colour) scale(f float64) colour { return colour{c[0] * f, c[1] * f, c[2] * f} }

// mix goes from c (f = 0) to d (f = 1).
func (c colour) mix(d colour, f float64) colour {
	f = min(1, max(0, f))
	g := 1 - f
	return colour{g*c[0] + f*d[0], g*c[1] + f*d[1], g*c[2] + f*d[2]}
}

func (c colour) bytes() (r, g, b byte) {
	level := func(v float64) byte { return byte(math.Round(255 * min(1, max(0, v)))) }
	return level(c[0]), level(c[1]), level(c[2])
}

// step rises from 0 to 1 as v goes from a to b, without a corner at either end.
func step(a, b, v float64) float64 {
	f := min(1, max(0, (v-a)/(b-a)))
	return f * f * (3 - 2*f)
}

// length is math.Hypot without its care for huge numbers, which costs more than all the rest of a picture.
func length(x, y float64) float64 { return math.Sqrt(x*x + y*y) }

// fract is v modulo 1, never negative.
func fract(v float64) float64 { return v - math.Floor(v) }

// hash is a number from 0 to 1 that looks random and is the same for the same n.
func hash(n int) float64 { return fract(math.Sin(float64(n)*127.1+11.7) * 43758.5453) }

// ridge is the outline of hills, 0 to 1, with period 1 in x.
func ridge(x, roughness float64) float64 {
	const circle = 2 * math.Pi
	h := math.Sin(circle*x+1.1)*0.5 + math.Sin(circle*3*x+0.4)*0.3 + math.Sin(circle*7*x+2.2)*0.2*roughness +
		math.Sin(circle*17*x)*0.08*roughness
	return 0.5 + 0.5*h
}
