package rtsp

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	"multi_process_server/pkg/media"
)

// TestFFmpegPlays has ffprobe and ffmpeg judge what a player gets.
func TestFFmpegPlays(t *testing.T) {
	ffprobe, ffmpeg := tool(t, "ffprobe", "ffmpeg"), tool(t, "ffmpeg", "ffmpeg")
	for _, test := range []struct {
		name, video, audio string
		clip               *clip
		sound              media.Codec
	}{
		{"H.264", "h264", "pcm_alaw", makeClip(t, "704x576", 4), media.CodecG711A},
		{"without sound", "h264", "pcm_alaw", makeClip(t, "320x240", 4), media.CodecUnknown},
		{"µ-law", "h264", "pcm_mulaw", makeClip(t, "320x240", 4), media.CodecG711U},
		{"B-frames", "h264", "pcm_alaw", makeClip(t, "320x240", 4, "-c:v", "libx264", "-bf", "2", "-x264-params", "bframes=2:b-adapt=0:b-pyramid=0"), media.CodecG711A},
		{"H.265", "hevc", "pcm_alaw", makeClip(t, "320x240", 4, "-c:v", "libx265", "-x265-params", "log-level=error:bframes=0"), media.CodecG711A},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := startRelay(t, test.clip, "127.0.0.1:0")
			r.sound = test.sound
			s := startServer(t, r, nil)
			for _, transport := range []string{"tcp", "udp"} {
				out := run(t, exec.Command(ffprobe, "-v", "error", "-rtsp_transport", transport, "-show_entries", "stream=codec_name,sample_rate,channels,avg_frame_rate", "-of", "compact=p=0:nk=1", url(s, path)))
				want := fmt.Sprintf("%s|25/1\n%s|8000|1|0/0\n", test.video, test.audio)
				if out != want {
					t.Errorf("%s: ffprobe says %q, want %q", transport, out, want)
				}
				if transport == "udp" && test.video+test.audio != "h264pcm_alaw" {
					continue
				}
				// Whatever is wrong makes ffmpeg exit with an error.
				run(t, exec.Command(ffmpeg, "-v", "error", "-xerror", "-err_detect", "explode", "-rtsp_transport", transport, "-i", url(s, path), "-t", "2", "-f", "null", "-"))
			}
		})
	}
}

// TestStartsAtOnce checks that a viewer need not wait for the next key frame, that its pictures are all there, in the
// time in which they were taken, and that sound and picture are on one clock.
func TestStartsAtOnce(t *testing.T) {
	t.Parallel()
	ffprobe := tool(t, "ffprobe", "ffmpeg")
	c := makeClip(t, "320x240", 4)
	r := startRelay(t, c, "127.0.0.1:0")
	s := startServer(t, r, nil)
	first := play(t, url(s, path), gortsplib.TransportTCP)
	first.more(trackVideo, 1)
	// Half-way through a group the burst comes from this server's own cache.
	time.Sleep(time.Until(r.began.Add(time.Since(r.began).Truncate(2*time.Second) + 3*time.Second)))

	out := run(t, exec.Command(ffprobe, "-v", "error", "-rtsp_transport", "tcp", "-read_intervals", "%+#60", "-show_entries", "packet=stream_index,pts_time,flags", "-of", "csv=p=0", url(s, path)))
	var pictures, sounds []float64
	for i, line := range strings.Fields(out) {
		fields := strings.Split(line, ",")
		if i == 0 && (fields[0] != "0" || !strings.HasPrefix(fields[2], "K")) {
			t.Fatalf("the first packet is %s, want a key frame", line)
		}
		pts, err := strconv.ParseFloat(fields[1], 64)
		switch {
		case err != nil: // ffprobe knows no time for the first
		case fields[0] == "0":
			pictures = append(pictures, pts)
		default:
			sounds = append(sounds, pts)
		}
	}
	checkSteps(t, "pictures", pictures)
	checkSteps(t, "sounds", sounds)
	if len(sounds) == 0 || sounds[0] < 0.5 || sounds[0] > 2 {
		t.Errorf("the first sound is at %v, want the live edge, a second or so after the first picture", sounds)
	}
	if n := r.subscribes.Load(); n != 1 {
		t.Errorf("%d subscriptions, want 1", n)
	}
}

func checkSteps(t *testing.T, what string, times []float64) {
	t.Helper()
	for i := 1; i < len(times); i++ {
		if step := times[i] - times[i-1]; step < 0.039 || step > 0.041 {
			t.Errorf("%s: %.3f follows %.3f, want 40 ms", what, times[i], times[i-1])
		}
	}
}

// TestSenderReports checks that the reports put sound and picture on one clock, and that clock near this machine's.
func TestSenderReports(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, nil)
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		p := play(t, url(s, path), transport)
		p.more(trackVideo, 80)
		p.more(trackAudio, 20)
		p.mutex.Lock()
		var at [trackCount]float64 // when the newest packet was sampled, in seconds since 1900
		for i := range at {
			if len(p.reports[i]) == 0 {
				t.Fatalf("%s: no sender report for %s", transport, track(i))
			}
			report, newest := p.reports[i][0], p.packets[i][len(p.packets[i])-1]
			ticks := int32(newest.Timestamp - report.RTPTime)
			at[i] = float64(report.NTPTime)/(1<<32) + float64(ticks)/float64(clockRates[i])
		}
		p.mutex.Unlock()
		if apart := at[trackVideo] - at[trackAudio]; apart < -0.2 || apart > 0.2 {
			t.Errorf("%s: picture and sound that came together are %.3f s apart", transport, apart)
		}
		now := float64(time.Now().Unix() + 2208988800)
		if behind := now - at[trackVideo]; behind < -5 || behind > 5 {
			t.Errorf("%s: the newest picture is %.3f s old", transport, behind)
		}
		p.client.Close()
	}
}
