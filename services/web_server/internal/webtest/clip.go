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

// NewClip makes a clip with ffmpeg, once per process for each size and options.
func NewClip(t testing.TB, size string, options ...string) *Clip {
	t.Helper()
	ffmpeg := Require(t, "ffmpeg", "ffmpeg")
	make := sync.OnceValues(func() (*Clip, error) { return encode(ffmpeg, size, options) })
	shared, _ := clips.LoadOrStore(fmt.Sprint(size, options), make)
	clip, err := shared.(func() (*Clip, error))()
	if err != nil {
		t.Fatal(err)
	}
	return clip
}

func encode(ffmpeg, size string, options []string) (*Clip, error) {
	arguments := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=25:size=" + size, "-frames:v", "75",
		"-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "0",
		"-x264-params", "aud=1:scenecut=0", "-threads", "1"}
	arguments = append(append(arguments, options...), "-f", "h264", "-")
	var stderr bytes.Buffer
	command := exec.Command(ffmpeg, arguments...)
	command.Stderr = &stderr
	stream, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ffmpeg: %w: %s", err, stderr.Bytes())
	}
	clip := &Clip{Codec: media.CodecH264}
	delimiter := []byte{0, 0, 0, 1, 9}
	for len(stream) > 0 {
		end := bytes.Index(stream[1:], delimiter) + 1
		if end == 0 {
			end = len(stream)
		}
		unit := stream[:end]
		stream = stream[end:]
		key := media.ContainsKey(clip.Codec, media.AppendNALUs(nil, unit))
		clip.Pictures = append(clip.Pictures, Picture{Key: key, Data: unit})
	}
	if len(clip.Pictures) < 50 {
		return nil, fmt.Errorf("ffmpeg made only %d pictures", len(clip.Pictures))
	}
	return clip, nil
}
