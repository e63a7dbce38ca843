package audio

import "math"

// vote decides between two ways of reading a stream by evidence from each packet: a score above 0 speaks for the
// usual way, below 0 for the other. It is a t-test: how far the sum of scores is from 0, in standard deviations.
type vote struct {
	sum, squares float64
	packets      int
	closed       bool
}

const (
	// voteLead is what the other way needs to be followed for the time being, 16 packets that agree. Some seconds of
	// a recorded engine's noise came up to 3.9 the wrong way.
	voteLead = 4
	// voteSettled ends the vote, after a second and a half of packets that agree. It is high because the test is made
	// again and again.
	voteSettled = 6
	// voteMost ends it with whatever leads, after two minutes of sound from which nothing can be told: reading in
	// both ways costs twice.
	voteMost = 3000
)

// add takes the evidence of one packet. Packets that say nothing (silence) should not be added.
func (v *vote) add(score float64) {
	if v.closed || math.IsNaN(score) || math.IsInf(score, 0) {
		return
	}
	v.sum += score
	v.squares += score * score
	v.packets++
	v.closed = v.packets >= voteMost || v.sum*v.sum > voteSettled*voteSettled*v.squares
}

// other reports whether the unusual way is to be followed.
func (v *vote) other() bool { return v.sum < 0 && v.sum*v.sum >= voteLead*voteLead*v.squares }

// roughness is the energy of a signal's slope over its own: 0 for a constant, 2 for white noise. What is read the
// wrong way round is rougher. loud is whether there is enough signal to judge by.
func roughness(pcm []int16) (value float64, loud bool) {
	var energy, slope int64
	for i := 1; i < len(pcm); i++ {
		x, d := int64(pcm[i]), int64(pcm[i])-int64(pcm[i-1])
		energy += x * x
		slope += d * d
	}
	const quiet = 16 * 16 // an amplitude of 16 of 32,768
	return float64(slope+1) / float64(energy+1), energy > quiet*int64(len(pcm))
}
