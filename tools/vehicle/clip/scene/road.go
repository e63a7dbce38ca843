package main

import "math"

// roadStyle is what makes one camera's road differ from another's.
type roadStyle struct {
	skyTop, skyLow colour
	sun            colour
	sunX, sunY     float64
	hills          [2]colour // far, near
	grass          [2]colour // stripes
	asphalt        colour
	haze           colour
	clouds         float64 // how white
	direction      float64 // 1: the road comes towards us; -1: it runs away
	lane           float64 // where the road's middle lies from our lane's, in camera heights
	other          func(under colour, u, v float64) colour
}

var dayRoad = roadStyle{
	skyTop: colour{0.16, 0.42, 0.78}, skyLow: colour{0.78, 0.89, 0.97},
	sun: colour{1, 0.97, 0.82}, sunX: 0.52, sunY: 0.16,
	hills:   [2]colour{{0.50, 0.63, 0.76}, {0.30, 0.48, 0.42}},
	grass:   [2]colour{{0.33, 0.53, 0.22}, {0.29, 0.48, 0.20}},
	asphalt: colour{0.29, 0.30, 0.33}, haze: colour{0.72, 0.82, 0.88},
	clouds: 0.55, direction: 1, lane: -0.48, other: lorry,
}

var eveningRoad = roadStyle{
	skyTop: colour{0.20, 0.17, 0.42}, skyLow: colour{0.99, 0.62, 0.36},
	sun: colour{1, 0.88, 0.6}, sunX: -0.42, sunY: 0.52,
	hills:   [2]colour{{0.55, 0.33, 0.42}, {0.28, 0.19, 0.30}},
	grass:   [2]colour{{0.36, 0.33, 0.19}, {0.31, 0.28, 0.17}},
	asphalt: colour{0.25, 0.22, 0.27}, haze: colour{0.86, 0.52, 0.38},
	clouds: 0.16, direction: -1, lane: 0.48, other: car,
}

const (
	horizon   = 0.62     // y
	roadWidth = 1.0      // half, in camera heights
	dash      = 6.0      // a stripe and its gap along the road, in camera heights
	dashes    = 12       // how many of them pass during the loop
	treeGap   = dash / 2 // between a tree and the next
	clouds    = 5
	trees     = 14 // on each side at a time
)

// road is the picture of a camera that looks along the road.
func road(s roadStyle) view {
	return func(t moment) painter {
		bend := 0.10 * t.wave(1, 0) // the road swings to and fro
		travelled := s.direction * dash * dashes * t.turn
		ahead := 5.2 + 1.1*t.wave(1, 0.2) // the other vehicle's distance
		sway := curve(bend, ahead) + 0.006*t.wave(2, 0.1)
		shake := 0.004*t.wave(9, 0) + 0.003*t.wave(14, 0.3)
		return func(x, y float64) colour {
			var c colour
			if y > horizon {
				c = s.ground(x, y, bend, travelled)
			} else {
				c = s.backdrop(x-1.6*bend, y)
			}
			for i := trees; i > 0; i-- { // far to near
				distance := (float64(i)-fract(travelled/treeGap))*treeGap + 0.4
				c = s.tree(c, x, y, distance, bend)
			}
			c = s.other(c, (x-sway)*ahead, (y-horizon)*ahead)
			return bonnet(c, x, y, shake)
		}
	}
}

// curve is how far to the side the road lies at a distance, in the picture.
func curve(bend, distance float64) float64 { return bend * (1 - 1/distance) * 1.2 }

func (s roadStyle) backdrop(x, y float64) colour {
	c := s.skyTop.mix(s.skyLow, math.Pow(y/horizon, 1.3))
	if sun := length(x-s.sunX, y-s.sunY); sun < 0.6 {
		c = c.mix(s.sun, 0.55*math.Exp(-sun*sun/0.05)+1-step(0.070, 0.078, sun))
	}
	for i := range clouds {
		cx, cy := -1.0+0.47*float64(i)+0.1*hash(i), 0.12+0.2*hash(i+9)
		if math.Abs(y-cy) > 0.1 || math.Abs(x-cx-0.13) > 0.3 {
			continue
		}
		for puff := range 4 {
			px := cx + 0.09*float64(puff)
			d := length((x-px)/1.6, (y-cy-0.02*hash(puff+i))/0.7)
			c = c.mix(colour{1, 1, 1}, s.clouds*(1-step(0.03, 0.085, d)))
		}
	}
	if y < horizon-0.24 {
		return c
	}
	if y > horizon-0.06-0.16*ridge(x/3.1, 1) {
		c = s.hills[0].mix(s.skyLow, 0.25)
	}
	if y > horizon-0.01-0.09*ridge(x/2.3+0.3, 0.6) {
		c = s.hills[1]
	}
	return c
}

func (s roadStyle) ground(x, y, bend, travelled float64) colour {
	distance := 1 / max(y-horizon, 1e-3)
	across := (x-curve(bend, distance))*distance - s.lane
	along := (distance + travelled) / dash
	c := s.grass[0]
	if fract(along*1.5) < 0.5 {
		c = s.grass[1]
	}
	side := math.Abs(across)
	switch {
	case side < roadWidth:
		c = s.asphalt.scale(1 + 0.05*math.Sin(along*2*math.Pi*2)*math.Cos(across*9))
		if side < 0.035 && fract(along) < 0.45 || side > 0.90 && side < 0.95 {
			c = colour{0.93, 0.92, 0.86}
		}
	case side < roadWidth+0.18:
		c = colour{0.55, 0.50, 0.42}
	}
	return c.mix(s.haze, step(4, 60, distance)*0.95)
}

// tree draws the pair of trees that stand at a distance, one on each side of the road.
func (s roadStyle) tree(under colour, x, y, distance, bend float64) colour {
	v := (horizon - y) * distance // 0 at the camera's height, -1 on the ground
	if v < -1 || v > 1 {
		return under
	}
	fade := step(6, 34, distance)
	for _, side := range [2]float64{-1, 1} {
		u := (x-curve(bend, distance))*distance - s.lane - side*1.75
		if math.Abs(u) > 0.5 {
			continue
		}
		leaf, trunk := colour{0.13, 0.34, 0.14}, colour{0.27, 0.19, 0.12}
		if s.direction < 0 {
			leaf, trunk = colour{0.19, 0.20, 0.14}, colour{0.16, 0.11, 0.10}
		}
		if math.Abs(u) < 0.05 && v > -1 && v < -0.2 {
			under = trunk.mix(s.haze, fade)
		}
		crown := length(u/0.42, (v-0.25)/0.62)
		if crown < 1 {
			light := 0.85 + 0.5*step(-0.4, 0.4, 0.7*v-u)
			under = leaf.scale(light).mix(s.haze, fade)
		}
	}
	return under
}

// lorry is the back of the lorry ahead; u and v are in camera heights, v = 1 on the ground.
func lorry(under colour, u, v float64) colour {
	if math.Abs(u) > 0.7 || v < -0.8 || v > 1.1 {
		return under
	}
	if length(u/0.62, (v-0.99)/0.07) < 1 {
		under = under.scale(0.45)
	}
	if v > 0.72 && v < 0.98 && (math.Abs(math.Abs(u)-0.36) < 0.1) {
		return colour{0.08, 0.08, 0.09} // tyres
	}
	if math.Abs(u) > 0.5 || v < -0.75 || v > 0.85 {
		return under
	}
	switch {
	case v > 0.66:
		if math.Abs(math.Abs(u)-0.4) < 0.06 && v < 0.78 {
			return colour{0.92, 0.16, 0.12} // lights
		}
		if math.Abs(u) < 0.14 && v < 0.79 {
			return colour{0.93, 0.80, 0.22} // number plate
		}
		return colour{0.20, 0.21, 0.24}
	case math.Abs(u) < 0.012 || math.Abs(u) > 0.47 || v < -0.71:
		return colour{0.62, 0.65, 0.69} // doors' frame
	case v > 0.1 && v < 0.3:
		return colour{0.13, 0.42, 0.68} // stripe
	}
	return colour{0.90, 0.91, 0.92}.scale(1 - 0.08*step(-0.7, 0.7, v))
}

// car is the front of the car that follows.
func car(under colour, u, v float64) colour {
	if math.Abs(u) > 1.2 || v < -0.3 || v > 1.6 {
		return under
	}
	if length(u/0.55, (v-0.99)/0.06) < 1 {
		under = under.scale(0.4)
	}
	body := colour{0.62, 0.13, 0.15}
	roof := 0.42 - 0.20*step(0.15, 0.62, 0.62-v)
	switch {
	case v > 0.86 && v < 0.99 && math.Abs(math.Abs(u)-0.34) < 0.08:
		under = colour{0.06, 0.06, 0.07}
	case v > 0.52 && v < 0.91 && math.Abs(u) < 0.45:
		under = body.scale(1.1 - 0.4*step(0.52, 0.9, v))
		if v > 0.70 && v < 0.80 && math.Abs(u) < 0.2 {
			under = colour{0.1, 0.1, 0.11}
		}
	case v > 0.16 && v <= 0.52 && math.Abs(u) < roof:
		under = body
		if v > 0.22 && math.Abs(u) < roof-0.05 {
			under = colour{0.20, 0.24, 0.32}.mix(colour{0.85, 0.6, 0.5}, 0.6*step(0.5, 0.2, v))
		}
	}
	for _, side := range [2]float64{-0.34, 0.34} {
		d := length(u-side, v-0.65)
		under = under.mix(colour{1, 0.95, 0.75}, math.Exp(-d*d/0.02))
	}
	return under
}

// bonnet is the vehicle's own front edge, shaking a little.
func bonnet(under colour, x, y, shake float64) colour {
	edge := bottom - 0.10 + 0.09*x*x + shake
	if y < edge {
		return under
	}
	return colour{0.10, 0.13, 0.18}.mix(colour{0.45, 0.52, 0.60}, 0.8*math.Exp(-(y-edge)/0.012))
}
