package rtsp

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/media"
)

// tool returns the path of a program that a test needs, or ends the test.
func tool(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	message := fmt.Sprintf("%s is not installed; it is in Debian's package %s", name, debianPackage)
	if os.Getenv("CI") != "" || os.Getenv("MPS_REQUIRE_TOOLS") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// picture is one access unit of a clip.
type picture struct {
	data []byte
	key  bool
	pts  time.Duration // within the clip
}

// clip is a video that a fake vehicle plays in a loop.
type clip struct {
	codec    media.Codec
	pictures []picture // in decoding order
}

const frameTime = 40 * time.Millisecond // 25 pictures a second

func (c *clip) duration() time.Duration { return time.Duration(len(c.pictures)) * frameTime }

var clips = struct {
	sync.Mutex
	made map[string]*clip
}{made: make(map[string]*clip)}

// makeClip has ffmpeg draw a moving test picture of so many seconds, 25 a second, a key frame every two seconds.
func makeClip(t *testing.T, size string, seconds int, encoder ...string) *clip {
	t.Helper()
	ffmpeg := tool(t, "ffmpeg", "ffmpeg")
	if len(encoder) == 0 {
		encoder = []string{"-c:v", "libx264", "-profile:v", "main", "-bf", "0"}
	}
	name := fmt.Sprint(size, seconds, encoder)
	clips.Lock()
	defer clips.Unlock()
	if c := clips.made[name]; c != nil {
		return c
	}
	c := &clip{codec: media.CodecH264}
	muxer, metadata := "h264", "h264_mp4toannexb,h264_metadata=aud=insert"
	if strings.Contains(name, "265") {
		c.codec, muxer, metadata = media.CodecH265, "hevc", "hevc_mp4toannexb,hevc_metadata=aud=insert"
	}
	mkv := filepath.Join(t.TempDir(), "clip.mkv")
	args := append([]string{"-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%s:rate=25", size), "-t", strconv.Itoa(seconds)}, encoder...)
	run(t, exec.Command(ffmpeg, append(args, "-preset", "ultrafast", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-b:v", "1M", "-maxrate", "1M", "-bufsize", "500k", "-pix_fmt", "yuv420p", mkv)...))
	stream := run(t, exec.Command(ffmpeg, "-v", "error", "-i", mkv, "-c", "copy", "-bsf:v", metadata, "-f", muxer, "-"))
	times := strings.Fields(run(t, exec.Command(tool(t, "ffprobe", "ffmpeg"), "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", mkv)))

	delimiter := []byte{0, 0, 0, 1, 0x09}
	if c.codec == media.CodecH265 {
		delimiter = []byte{0, 0, 0, 1, 0x46, 0x01}
	}
	units := bytes.Split([]byte(stream), delimiter)[1:]
	if len(units) != len(times) || len(units) != seconds*25 {
		t.Fatalf("the clip has %d access units and %d times, want %d", len(units), len(times), seconds*25)
	}
	for i, unit := range units {
		data := append(bytes.Clone(delimiter), unit...)
		pts, err := strconv.ParseFloat(strings.Trim(times[i], ","), 64)
		if err != nil {
			t.Fatal(err)
		}
		nalus := media.AppendNALUs(nil, data)
		c.pictures = append(c.pictures, picture{data, media.ContainsKey(c.codec, nalus), time.Duration(math.Round(pts*1000)) * time.Millisecond})
	}
	clips.made[name] = c
	return c
}

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return string(out)
}

// tone is 40 ms of 440 Hz in A-law: packet n of a continuous sound.
func tone(n int) []byte {
	pcm := make([]int16, 320)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(n*320+i)/8000))
	}
	return audio.EncodeALaw(nil, pcm)
}

// aacUnitTime is how long a unit of makeAAC is: 1,024 samples at 32 kHz.
const aacUnitTime = 32 * time.Millisecond

// makeAAC has ffmpeg encode a tone of four seconds. The units have ADTS headers.
func makeAAC(t *testing.T) [][]byte {
	t.Helper()
	data := []byte(run(t, exec.Command(tool(t, "ffmpeg", "ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "sine=440:sample_rate=32000", "-t", "4", "-c:a", "aac", "-b:a", "48k", "-f", "adts", "-")))
	var units [][]byte
	for len(data) > 0 {
		length := int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5])>>5
		units, data = append(units, data[:length]), data[length:]
	}
	return units
}
