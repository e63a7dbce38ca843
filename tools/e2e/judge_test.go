package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// need returns a tool's path. A machine without it skips the test, unless the tests run where nothing may be skipped.
func need(t *testing.T, tool, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		missing(t, tool, debianPackage)
	}
	return path
}

func missing(t *testing.T, what, debianPackage string) {
	t.Helper()
	message := what + " is missing: install the Debian package " + debianPackage + " (or what your system calls it)"
	if os.Getenv("CI") != "" || os.Getenv("MPS_REQUIRE_TOOLS") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// stream and packet are what ffprobe tells.
type stream struct {
	CodecType  string `json:"codec_type"`
	CodecName  string `json:"codec_name"`
	Profile    string `json:"profile"`
	Width      int    `json:"width"`
	Height     int    `json:"height"`
	SampleRate string `json:"sample_rate"`
	Channels   int    `json:"channels"`
}

type packet struct {
	CodecType string `json:"codec_type"`
	PTS       string `json:"pts_time"`
	DTS       string `json:"dts_time"`
	Flags     string `json:"flags"`
}

type probe struct {
	Streams []stream `json:"streams"`
	Packets []packet `json:"packets"`
}

// seconds of media that a judge looks at.
const seconds = 4

// ffprobe looks at a live stream for some seconds.
func ffprobe(t *testing.T, url string, options ...string) probe {
	t.Helper()
	args := append([]string{"-v", "error"}, options...)
	args = append(args, "-print_format", "json", "-show_streams", "-show_packets", "-read_intervals", "%+"+strconv.Itoa(seconds), url)
	cmd := exec.CommandContext(limited(t, 2*patience), need(t, "ffprobe", "ffmpeg"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v\n%s", url, err, stderr.String())
	}
	var p probe
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	if stderr.Len() > 0 {
		t.Errorf("ffprobe %s complains:\n%s", url, stderr.String())
	}
	return p
}

// expect compares the tracks, video first, and checks that each track's packets go on in time without a hole.
func (p *probe) expect(t *testing.T, video, audio stream) {
	t.Helper()
	got := map[string]stream{}
	for _, s := range p.Streams {
		got[s.CodecType] = s
	}
	video.CodecType, audio.CodecType = "video", "audio"
	if got["video"].Profile == "" {
		video.Profile = ""
	}
	audio.Profile = got["audio"].Profile
	if got["video"].CodecName != video.CodecName || got["video"].Width != video.Width || got["video"].Height != video.Height || got["video"].Profile != video.Profile {
		t.Errorf("video is %+v, want %+v", got["video"], video)
	}
	if got["audio"].CodecName != audio.CodecName || got["audio"].SampleRate != audio.SampleRate || got["audio"].Channels != audio.Channels {
		t.Errorf("audio is %+v, want %+v", got["audio"], audio)
	}
	p.checkTimes(t, "video", 0.04)
	p.checkTimes(t, "audio", 0.13) // one AAC frame at 8 kHz takes 128 ms
}

// checkTimes wants timestamps that grow, and no gap much larger than the usual step.
func (p *probe) checkTimes(t *testing.T, codecType string, step float64) {
	t.Helper()
	last, n, first := -1.0, 0, 0.0
	for i, packet := range p.Packets {
		if packet.CodecType != codecType || i == 0 && packet.PTS == "" { // ffprobe knows no time of a first packet by RTSP
			continue
		}
		at, err := strconv.ParseFloat(packet.PTS, 64)
		if err != nil {
			t.Fatalf("%s packet %d has no time: %+v", codecType, n, packet)
		}
		if n > 0 && at <= last {
			t.Errorf("%s packet %d: time goes from %.3f to %.3f", codecType, n, last, at)
		}
		if n > 0 && at > last+4*step {
			t.Errorf("%s packet %d: a hole from %.3f to %.3f", codecType, n, last, at)
		}
		if n == 0 {
			first = at
		}
		last = at
		n++
	}
	if last-first < seconds/2 {
		t.Errorf("%s: %d packets over %.1f s", codecType, n, last-first)
	}
}

var (
	wantH264 = stream{CodecName: "h264", Profile: "Main", Width: 704, Height: 576}
	wantALaw = stream{CodecName: "pcm_alaw", SampleRate: "8000", Channels: 1}
)

// aac is what a sound track in FLV and RTMP is; its rate depends on the encoder.
func (p *probe) aac() stream {
	for _, s := range p.Streams {
		if s.CodecName == "aac" {
			return s
		}
	}
	return stream{CodecName: "aac"}
}

// decode lets ffmpeg decode some seconds; any complaint fails the test.
func decode(t *testing.T, url string, options ...string) {
	t.Helper()
	args := append([]string{"-v", "error", "-nostdin"}, options...)
	args = append(args, "-i", url, "-t", strconv.Itoa(seconds), "-f", "null", "-")
	out, err := exec.CommandContext(limited(t, 2*patience), need(t, "ffmpeg", "ffmpeg"), args...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("ffmpeg %s: %v\n%s", url, err, out)
	}
}

// viewer is an ffmpeg that takes a stream as long as it lasts and says how many pictures it got.
type viewer struct {
	url    string
	cmd    *exec.Cmd
	done   chan struct{}
	mutex  sync.Mutex // guards frames and stderr
	frames int
	stderr bytes.Buffer
}

// view starts a viewer, which is killed at the test's end.
func view(t *testing.T, url string, options ...string) *viewer {
	t.Helper()
	args := append([]string{"-v", "error", "-nostdin", "-stats_period", "0.1", "-progress", "pipe:1"}, options...)
	args = append(args, "-i", url, "-c", "copy", "-f", "null", "-")
	v := &viewer{url: url, cmd: exec.Command(need(t, "ffmpeg", "ffmpeg"), args...), done: make(chan struct{})}
	stdout, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := v.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if value, ok := strings.CutPrefix(lines.Text(), "frame="); ok {
				v.mutex.Lock()
				v.frames, _ = strconv.Atoi(strings.TrimSpace(value))
				v.mutex.Unlock()
			}
		}
	})
	wg.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			v.mutex.Lock()
			if v.stderr.Len() < 4096 {
				v.stderr.WriteString(lines.Text() + "\n")
			}
			v.mutex.Unlock()
		}
	})
	go func() {
		defer close(v.done)
		wg.Wait()
		v.cmd.Wait()
	}()
	t.Cleanup(v.leave)
	return v
}

// leave ends the viewer.
func (v *viewer) leave() {
	v.cmd.Process.Kill()
	<-v.done
}

func (v *viewer) seen() int {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.frames
}

func (v *viewer) complaints() string {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.stderr.String()
}

// waitFor waits for n more pictures and returns how long they took.
func (v *viewer) waitFor(t *testing.T, n int) time.Duration {
	t.Helper()
	began, before := time.Now(), v.seen()
	for v.seen() < before+n {
		select {
		case <-v.done:
			t.Fatalf("the viewer of %s has ended after %d pictures:\n%s", v.url, v.seen(), v.complaints())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Since(began) > patience {
			t.Fatalf("the viewer of %s has %d pictures and waits for %d\n%s", v.url, v.seen(), before+n, v.complaints())
		}
	}
	return time.Since(began)
}
