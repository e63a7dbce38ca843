// Package clip holds what a simulated vehicle shows and plays when it is given nothing else: a seamless loop of six
// seconds for each of its four cameras, made by make.sh. At every even second a lamp in the picture and a beep in the
// sound say whether the two are together.
package clip

import _ "embed" // the clips

// How the clips are to be played.
const (
	FPS        = 25   // frames per second, 50 from a key frame to the next
	SampleRate = 8000 // of Sound, one byte a sample
)

var (
	//go:embed front.h264
	front []byte
	//go:embed rear.h264
	rear []byte
	//go:embed left.h264
	left []byte
	//go:embed right.h264
	right []byte
	//go:embed small.h264
	small []byte
	//go:embed sound.alaw
	sound []byte
)

// Cameras is how many pictures differ.
const Cameras = 4

// Camera is the picture of a channel (from 1; beyond Cameras it starts over): H.264 Main, Annex B, 704x576, 1 Mbit/s.
func Camera(channel uint8) []byte {
	return [Cameras][]byte{front, rear, left, right}[(channel+Cameras-1)%Cameras]
}

// Small is the first camera's picture as a sub stream has it: 352x288, 300 kbit/s.
func Small() []byte { return small }

// Sound is G.711 A-law.
func Sound() []byte { return sound }
