package audio

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestMPEGAudioOfFFmpeg(t *testing.T) {
	for _, c := range []struct {
		format, codec           string
		layer, rate, samples    int
		channels, bitRate, want int
	}{
		{"mp3", "libmp3lame", 3, 8000, 576, 1, 16000, 0}, {"mp3", "libmp3lame", 3, 22050, 576, 2, 64000, 0},
		{"mp3", "libmp3lame", 3, 44100, 1152, 2, 128000, 0}, {"mp2", "mp2", 2, 48000, 1152, 1, 96000, 0},
		{"mp2", "mp2", 2, 16000, 1152, 1, 32000, 0},
	} {
		args := []string{"-f", "s16le", "-ar", fmt.Sprint(c.rate), "-ac", "1", "-i", "-", "-c:a", c.codec, "-b:a", fmt.Sprint(c.bitRate),
			"-ac", fmt.Sprint(c.channels)}
		if c.format == "mp3" {
			args = append(args, "-write_xing", "0", "-id3v2_version", "0")
		}
		stream := ffmpeg(t, bytesLE(sine(c.rate, c.rate, 500, 8000)), append(args, "-f", c.format, "-")...)
		frames, err := SplitMPEGAudio(nil, stream)
		if err != nil {
			t.Fatalf("%+v: after %d frames: %v", c, len(frames), err)
		}
		if n := len(frames) * c.samples; n < c.rate || n > c.rate+4*c.samples {
			t.Errorf("%+v: %d frames", c, len(frames))
		}
		h, err := ParseMPEGAudioHeader(frames[0])
		if err != nil || h.Layer != c.layer || h.SampleRate != c.rate || h.Channels != c.channels || h.BitRate != c.bitRate || h.Samples != c.samples {
			t.Errorf("%+v: %+v %v", c, h, err)
		}
		if !bytes.Equal(bytes.Join(frames, nil), stream) {
			t.Errorf("%+v: frames are not the stream", c)
		}
	}
}

func TestMPEGAudioDamage(t *testing.T) {
	good := append([]byte{0xff, 0xfb, 0x90, 0xc0}, make([]byte, 413)...) // MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes
	for _, c := range []struct {
		name   string
		body   []byte
		frames int
		err    error
	}{
		{"empty", nil, 0, nil},
		{"one", good, 1, nil},
		{"cut off", good[:416], 0, ErrMPEGAudio},
		{"garbage behind", append(bytes.Clone(good), 1, 2), 1, ErrMPEGAudio},
		{"free format", []byte{0xff, 0xfb, 0x00, 0xc0}, 0, ErrMPEGAudio},
		{"no bit rate 15", []byte{0xff, 0xfb, 0xf0, 0xc0}, 0, ErrMPEGAudio},
		{"no sample rate 3", []byte{0xff, 0xfb, 0x9c, 0xc0}, 0, ErrMPEGAudio},
		{"no layer", []byte{0xff, 0xf9, 0x90, 0xc0}, 0, ErrMPEGAudio},
		{"no version", []byte{0xff, 0xeb, 0x90, 0xc0}, 0, ErrMPEGAudio},
		{"too long", make([]byte, maxPacket+1), 0, ErrTooLong},
	} {
		frames, err := SplitMPEGAudio(nil, c.body)
		if len(frames) != c.frames || !errors.Is(err, c.err) {
			t.Errorf("%s: %d frames, %v; want %d, %v", c.name, len(frames), err, c.frames, c.err)
		}
	}
}
