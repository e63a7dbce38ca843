package main

import "math"

// roadsideStyle is what makes the left camera's picture differ from the right one's.
type roadsideStyle struct {
	skyTop, skyLow colour
	layers         []layer // far to near
	direction      float64 // which way the world goes by
}

// layer is a strip of the landscape that moves as one.
type layer struct {
	colour colour
	base   float64 // y of its foot
	high   float64
	tiles  int     // how many of its tiles go by during the loop
	tile   float64 // width
	shape  func(x float64) float64
	detail func(c colour, u, v float64) colour // u 0 to 1 along the tile, v 0 at its foot, in picture units
}

var coast = roadsideStyle{
	skyTop: colour{0.24, 0.56, 0.85}, skyLow: colour{0.90, 0.95, 0.96},
	direction: -1,
	layers: []layer{
		{colour: colour{0.60, 0.72, 0.82}, base: 0.64, high: 0.16, tiles: 1, tile: 2.4, shape: hillside(1)},
		{colour: colour{0.14, 0.47, 0.64}, base: 0.98, high: 0.36, tiles: 1, tile: 1.2, shape: flat, detail: sea},
		{colour: colour{0.78, 0.71, 0.52}, base: 1.05, high: 0.12, tiles: 2, tile: 1.3, shape: hillside(0.2)},
		{colour: colour{0.22, 0.45, 0.22}, base: 1.32, high: 0.30, tiles: 6, tile: 0.9, shape: bushes},
		{colour: colour{0.36, 0.36, 0.38}, base: bottom, high: 0.36, tiles: 12, tile: 0.8, shape: flat, detail: verge},
	},
}

var town = roadsideStyle{
	skyTop: colour{0.30, 0.45, 0.66}, skyLow: colour{0.95, 0.88, 0.78},
	direction: 1,
	layers: []layer{
		{colour: colour{0.66, 0.70, 0.77}, base: 0.86, high: 0.34, tiles: 1, tile: 2.2, shape: skyline(13), detail: windows(13, 0.25)},
		{colour: colour{0.46, 0.48, 0.56}, base: 1.02, high: 0.62, tiles: 2, tile: 2.2, shape: skyline(7), detail: windows(7, 0.8)},
		{colour: colour{0.25, 0.43, 0.24}, base: 1.32, high: 0.34, tiles: 6, tile: 0.9, shape: bushes},
		{colour: colour{0.36, 0.36, 0.38}, base: bottom, high: 0.36, tiles: 12, tile: 0.8, shape: flat, detail: verge},
	},
}

// roadside is the picture of a camera that looks to the side.
func roadside(s roadsideStyle) view {
	return func(t moment) painter {
		shake := 0.003*t.wave(8, 0) + 0.002*t.wave(13, 0.4) // the road is not quite even
		return func(x, y float64) colour {
			y += shake
			c := s.skyTop.mix(s.skyLow, y/0.7)
			sun := length(x-0.5*s.direction, y-0.3)
			c = c.mix(colour{1, 0.98, 0.85}, 0.5*math.Exp(-sun*sun/0.04)+1-step(0.060, 0.068, sun))
			for _, l := range s.layers {
				at := (x - s.direction*float64(l.tiles)*l.tile*t.turn) / l.tile
				v := l.base - y
				if v <= l.high*l.shape(at) {
					c = l.colour
					if l.detail != nil {
						c = l.detail(c, fract(at), v)
					} else {
						c = c.scale(0.75 + 0.35*v/l.high)
					}
				}
			}
			return c
		}
	}
}

func flat(float64) float64 { return 1 }

func hillside(roughness float64) func(float64) float64 {
	return func(x float64) float64 { return 0.35 + 0.6*ridge(x, roughness) }
}

// bushes is a hedge with a tree in each tile.
func bushes(x float64) float64 {
	u := fract(x)
	hedge := 0.35 + 0.06*math.Sin(u*2*math.Pi*5) + 0.03*math.Sin(u*2*math.Pi*13)
	if d := (u - 0.5) / 0.24; math.Abs(d) < 1 {
		return max(hedge, 0.45+0.55*math.Sqrt(1-d*d))
	}
	return hedge
}

// skyline is n houses of differing height.
func skyline(n int) func(float64) float64 {
	return func(x float64) float64 {
		house := int(fract(x) * float64(n))
		return 0.35 + 0.65*hash(house*3+n)
	}
}

func windows(houses int, contrast float64) func(colour, float64, float64) colour {
	return func(c colour, u, v float64) colour {
		house := int(u * float64(houses))
		c = c.scale(0.85 + 0.3*hash(house+40))
		wu, wv := fract(u*float64(houses))*5, v*22
		if fract(wu) > 0.3 && fract(wu) < 0.8 && fract(wv) > 0.3 && fract(wv) < 0.75 && wu > 0.3 && wu < 4.7 {
			lit := hash(house*97 + int(wu)*13 + int(wv)*7)
			return c.mix(colour{0.98, 0.90, 0.62}.scale(0.5+0.5*lit), contrast*(0.3+0.7*lit))
		}
		return c
	}
}

// sea has ripples that lie closer together the farther away they are.
func sea(c colour, u, v float64) colour {
	ripple := math.Sin(16/(0.48-v) + 1.6*math.Sin(u*2*math.Pi*2) + 0.8*math.Sin(u*2*math.Pi*7))
	return c.mix(colour{0.75, 0.88, 0.92}, 0.30*step(0.75, 1, ripple)+0.35*v/0.36)
}

// verge is kerb, white line, asphalt and the guard rail's posts.
func verge(c colour, u, v float64) colour {
	switch {
	case v > 0.22 && (math.Abs(u-0.5) < 0.05 || v > 0.28 && v < 0.345):
		return colour{0.74, 0.77, 0.80}.scale(0.7 + 0.4*step(0.26, 0.34, v))
	case v > 0.22:
		return colour{0.33, 0.42, 0.22}
	case v > 0.18:
		return colour{0.60, 0.58, 0.54}
	case v > 0.10 && v < 0.125:
		return colour{0.92, 0.91, 0.86}
	}
	return c.scale(1 + 0.06*math.Sin(u*2*math.Pi*3))
}
