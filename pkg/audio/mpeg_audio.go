package audio

import (
	"errors"
	"fmt"
)

// ErrMPEGAudio is the answer to a damaged header of MPEG audio.
var ErrMPEGAudio = errors.New("MPEG audio header")

// MPEGAudioHeader is the header of a frame of MPEG-1 audio (ISO/IEC 11172-3 clause 2.4.2.3), of MPEG-2's lower rates
// (ISO/IEC 13818-3 clause 2.4.2.3) or of what is called MPEG 2.5, half of those again.
type MPEGAudioHeader struct {
	Layer      int // 3 is MP3
	BitRate    int // bit/s
	SampleRate int // Hz
	Channels   int
	Samples    int // in a frame, per channel
	Length     int // of the frame in bytes, with the header
}

// mpegBitRates is bitrate_index in kbit/s: MPEG-1 layers I to III, then MPEG-2 layer I, then II and III.
var mpegBitRates = [5][16]int{
	{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// ParseMPEGAudioHeader reads the four bytes at b's start. Free format (a bit rate of 0) is refused: its frames have no
// length.
func ParseMPEGAudioHeader(b []byte) (MPEGAudioHeader, error) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return MPEGAudioHeader{}, fmt.Errorf("%w: no sync word in % x", ErrMPEGAudio, b[:min(len(b), 4)])
	}
	version, layer := b[1]>>3&3, 4-int(b[1]>>1&3) // version 0: 2.5, 1: reserved, 2: 2, 3: 1
	row := layer - 1
	if version != 3 {
		row = min(layer+2, 4)
	}
	if version == 1 || layer == 4 {
		return MPEGAudioHeader{}, fmt.Errorf("%w: reserved version or layer in % x", ErrMPEGAudio, b[:4])
	}
	bitRate, rateIndex := mpegBitRates[row][b[2]>>4]*1000, b[2]>>2&3
	if bitRate == 0 || rateIndex == 3 {
		return MPEGAudioHeader{}, fmt.Errorf("%w: bit rate or sample rate without a value in % x", ErrMPEGAudio, b[:4])
	}
	h := MPEGAudioHeader{Layer: layer, BitRate: bitRate, Channels: 2, SampleRate: [...]int{44100, 48000, 32000}[rateIndex]}
	switch version {
	case 2:
		h.SampleRate /= 2
	case 0:
		h.SampleRate /= 4
	}
	if b[3]>>6 == 3 {
		h.Channels = 1
	}
	padding := int(b[2] >> 1 & 1)
	switch {
	case layer == 1:
		h.Samples = 384
		h.Length = (12*bitRate/h.SampleRate + padding) * 4
	case layer == 3 && version != 3:
		h.Samples = 576
		h.Length = 72*bitRate/h.SampleRate + padding
	default:
		h.Samples = 1152
		h.Length = 144*bitRate/h.SampleRate + padding
	}
	return h, nil
}

// SplitMPEGAudio appends the frames in a packet's body to frames; they alias it. After an error the frames before the
// damage are there.
func SplitMPEGAudio(frames [][]byte, body []byte) ([][]byte, error) {
	if len(body) > maxPacket {
		return frames, ErrTooLong
	}
	body, _ = StripHiSilicon(body)
	for len(body) > 0 {
		h, err := ParseMPEGAudioHeader(body)
		if err != nil {
			return frames, err
		}
		if h.Length > len(body) {
			return frames, fmt.Errorf("%w: frame of %d bytes cut off at %d", ErrMPEGAudio, h.Length, len(body))
		}
		frames = append(frames, body[:h.Length])
		body = body[h.Length:]
	}
	return frames, nil
}
