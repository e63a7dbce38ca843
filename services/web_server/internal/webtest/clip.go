package webtest

import (
	"bytes"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"multi_process_server/pkg/media"
)

// Clip is a few seconds of video at 25 pictures a second, one IDR each second.
type Clip struct {
	Codec media.Codec
	// Pictures are access units in Annex B, in decoding order; key frames bear their parameter sets.
	Pictures []Picture
}

// Picture is one access unit.
type Picture struct {
	Key  bool
	Data []byte
}

// FrameTime is the time between two pictures of a clip.
const FrameTime = 40 * time.Millisecond

var clips sync.Map // of func() (*Clip, error), by size and options

// NewClip makes a clip of H.264 with ffmpeg, once per process for each size and options.
func NewClip(t testing.TB, size string, options ...string) *Clip {
	t.Helper()
	arguments := []string{"-c:v", "libx264", "-profile:v", "main", "-x264-params", "aud=1:scenecut=0", "-f", "h264"}
	return newClip(t, media.CodecH264, size, append(arguments, options...))
}

// NewH265Clip is NewClip for H.265.
func NewH265Clip(t testing.TB, size string) *Clip {
	t.Helper()
	arguments := []string{"-c:v", "libx265", "-x265-params", "aud=1:scenecut=0:repeat-headers=1:log-level=none", "-f", "hevc"}
	return newClip(t, media.CodecH265, size, arguments)
}

func newClip(t testing.TB, codec media.Codec, size string, options []string) *Clip {
	t.Helper()
	ffmpeg := Require(t, "ffmpeg", "ffmpeg")
	once := sync.OnceValues(func() (*Clip, error) { return encode(ffmpeg, codec, size, options) })
	shared, _ := clips.LoadOrStore(fmt.Sprint(size, options), once)
	clip, err := shared.(func() (*Clip, error))()
	if err != nil {
		t.Fatal(err)
	}
	return clip
}

// delimiters are the NAL units that access units begin with.
var delimiters = map[media.Codec][]byte{
	media.CodecH264: {0, 0, 0, 1, 9},
	media.CodecH265: {0, 0, 0, 1, 35 << 1, 1},
}

func encode(ffmpeg string, codec media.Codec, size string, options []string) (*Clip, error) {
	arguments := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=25:size=" + size, "-frames:v", "75",
		"-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "0", "-threads", "1"}
	var stderr bytes.Buffer
	command := exec.Command(ffmpeg, append(append(arguments, options...), "-")...)
	command.Stderr = &stderr
	stream, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ffmpeg: %w: %s", err, stderr.Bytes())
	}
	clip := &Clip{Codec: codec}
	for len(stream) > 0 {
		end := bytes.Index(stream[1:], delimiters[codec]) + 1
		if end == 0 {
			end = len(stream)
		}
		unit := stream[:end]
		stream = stream[end:]
		key := media.ContainsKey(codec, media.AppendNALUs(nil, unit))
		clip.Pictures = append(clip.Pictures, Picture{Key: key, Data: unit})
	}
	if len(clip.Pictures) < 50 {
		return nil, fmt.Errorf("ffmpeg made only %d pictures", len(clip.Pictures))
	}
	return clip, nil
}
