package rtsp

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/prometheus/client_golang/prometheus/testutil"

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
		{"H.264", "h264", "pcm_alaw|8000", makeClip(t, "704x576", 4), media.CodecG711A},
		{"without sound", "h264", "pcm_alaw|8000", makeClip(t, "320x240", 4), media.CodecUnknown},
		{"µ-law", "h264", "pcm_mulaw|8000", makeClip(t, "320x240", 4), media.CodecG711U},
		{"B-frames", "h264", "pcm_alaw|8000", makeClip(t, "320x240", 4, "-c:v", "libx264", "-bf", "2", "-x264-params", "bframes=2:b-adapt=0:b-pyramid=0"), media.CodecG711A},
		{"AAC", "h264", "aac|32000", makeClip(t, "320x240", 4), media.CodecAAC},
		{"H.265", "hevc", "pcm_alaw|8000", makeClip(t, "320x240", 4, "-c:v", "libx265", "-x265-params", "log-level=error:bframes=0"), media.CodecG711A},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := startRelay(t, test.clip, "127.0.0.1:0")
			if test.sound == media.CodecAAC {
				r.set(func() { r.aac = makeAAC(t) })
			}
			r.set(func() { r.sound = test.sound })
			s := startServer(t, r, nil)
			for _, transport := range []string{"tcp", "udp"} {
				out := run(t, exec.Command(ffprobe, "-v", "error", "-rtsp_transport", transport, "-show_entries", "stream=codec_name,sample_rate,channels,avg_frame_rate", "-of", "compact=p=0:nk=1", url(s, path)))
				want := fmt.Sprintf("%s|25/1\n%s|1|0/0\n", test.video, test.audio)
				if out != want {
					t.Errorf("%s: ffprobe says %q, want %q", transport, out, want)
				}
				if transport == "udp" && test.video+test.audio != "h264pcm_alaw|8000" && test.sound != media.CodecAAC {
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
			at[i] = float64(report.NTPTime)/(1<<32) + float64(ticks)/float64(p.desc.Medias[i].Formats[0].ClockRate())
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

// TestAACFallsSilent checks that players get silence that they can decode where AAC has stopped.
func TestAACFallsSilent(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	r.set(func() { r.sound, r.aac = media.CodecAAC, makeAAC(t) })
	s := startServer(t, r, nil)
	p := play(t, url(s, path), gortsplib.TransportTCP)
	p.more(trackAudio, 10)
	r.set(func() { r.aac = [][]byte{nil} })
	p.more(trackVideo, 50)
	out := run(t, exec.Command(tool(t, "ffmpeg", "ffmpeg"), "-v", "error", "-xerror", "-err_detect", "explode", "-rtsp_transport", "tcp", "-i", url(s, path), "-t", "2", "-map", "0:a", "-f", "s16le", "-"))
	if len(out) < 32000 || strings.Trim(out, "\x00") != "" {
		t.Errorf("%d bytes of sound, want silence of a second or so", len(out))
	}
	checkOrder(t, p.more(trackAudio, 1))
}

// TestAACComesLate checks that sound that an SDP has not promised is counted and leaves silence.
func TestAACComesLate(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	units := makeAAC(t)
	r.set(func() { r.sound, r.aac = media.CodecAAC, [][]byte{nil} })
	s := startServer(t, r, nil)
	p := play(t, url(s, path), gortsplib.TransportTCP)
	p.more(trackAudio, 1)
	r.set(func() { r.aac = units })
	eventually(t, "AAC is left out", func() bool { return testutil.ToFloat64(s.metrics.framesRefused.WithLabelValues("sound")) > 0 })
	packets := p.more(trackAudio, 20)
	checkOrder(t, packets)
	if last := packets[len(packets)-1]; last.PayloadType != payloadTypeALaw || last.Payload[0] != 0xd5 {
		t.Errorf("payload type %d beginning with %x, want silence in A-law", last.PayloadType, last.Payload[0])
	}
}
