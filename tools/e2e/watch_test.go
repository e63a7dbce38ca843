package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"multi_process_server/pkg/jt808"
	"multi_process_server/tools/internal/simvehicle"
)

func TestRTSP(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			v := p.vehicle(t, nil)
			found := ffprobe(t, p.rtsp(v.id(1)), "-rtsp_transport", transport)
			found.expect(t, wantH264, wantALaw)
			decode(t, p.rtsp(v.id(1)), "-rtsp_transport", transport)
			v.waitIdle(t, 1)
		})
	}
}

func TestHTTPFLV(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	v := p.vehicle(t, nil)
	found := ffprobe(t, p.flv(v.id(1)))
	found.expect(t, wantH264, found.aac())
	decode(t, p.flv(v.id(1)))
	v.waitIdle(t, 1)
}

// A vehicle of the 2019 edition has ten bytes of SIM, and streams of 22 digits.
func TestLongSIM(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	v := p.vehicle(t, func(v *simvehicle.Vehicle) {
		v.SIM, v.Version, v.Channels = mustSIM(t, "12345678901234567890"), jt808.Version2019, 64
	})
	if id := v.id(64); id != "1234567890123456789064" {
		t.Fatal(id)
	}
	found := ffprobe(t, p.rtsp(v.id(64)), "-rtsp_transport", "tcp")
	found.expect(t, wantH264, wantALaw)
}

// A vehicle that sends no sound has a picture all the same; in FLV there is an AAC track of silence.
func TestNoSound(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	v := p.vehicle(t, func(v *simvehicle.Vehicle) { v.NoSound = true })
	found := ffprobe(t, p.flv(v.id(1)))
	found.checkTimes(t, "video", 0.04)
	found.checkTimes(t, "audio", 0.13)
	found = ffprobe(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp")
	found.checkTimes(t, "video", 0.04)
}

// VLC decodes the picture: it writes frames as PNG files. By HTTP-FLV, because Debian's VLC is built without live555 and
// has no RTSP.
func TestVLC(t *testing.T) {
	t.Parallel()
	vlc := need(t, "cvlc", "vlc")
	p := commonPlatform(t)
	v := p.vehicle(t, nil)
	dir, err := os.MkdirTemp("", "vlc-") //nolint:usetesting // t.TempDir lies in a folder that another user cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd := exec.Command(vlc, "-I", "dummy", "--no-dbus", "--no-video-title-show", "--vout", "vdummy", "--aout", "dummy",
		"--video-filter", "scene", "--scene-format", "png", "--scene-ratio", "25", "--scene-prefix", "frame", "--scene-path", dir,
		p.flv(v.id(1)))
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	if os.Getuid() == 0 { // VLC refuses to run as root
		const nobody = 65534
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("VLC says:\n%s", said.String())
		}
	})
	eventually(t, "VLC has decoded three pictures", func() bool {
		frames, _ := filepath.Glob(filepath.Join(dir, "frame*.png"))
		return len(frames) >= 3
	})
}

// However many watch, and by whatever way, the vehicle is told once to send and sends once, and once to stop.
func TestManyViewersOneUpstream(t *testing.T) {
	t.Parallel()
	p := ownPlatform(t)
	v := p.vehicle(t, nil)
	viewers := make([]*viewer, 0, 7)
	for range 3 {
		viewers = append(viewers, view(t, p.flv(v.id(1))))
		viewers = append(viewers, view(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp"))
	}
	viewers = append(viewers, view(t, p.rtsp(v.id(1)), "-rtsp_transport", "udp"))
	p.hook(t, "on_play", "many", v.id(1)).expect(t, http.StatusOK, "0")
	for _, viewer := range viewers {
		viewer.waitFor(t, 25)
	}
	if starts, dials := v.count(simvehicle.EventStart, 1), v.count(simvehicle.EventSending, 1); starts != 1 || dials != 1 {
		t.Errorf("the vehicle was told to send %d times and dialled %d times", starts, dials)
	}
	if n := p.metric(t, p.JT1078, "jt1078_relay_subscriptions"); n != 2 {
		t.Errorf("jt1078_server has %v subscriptions, want one of each consumer", n)
	}
	for _, viewer := range viewers {
		viewer.leave()
	}
	// The hook's session goes on: nobody may tell the vehicle to stop.
	time.Sleep(3 * time.Second)
	if !v.Active(1) || v.count(simvehicle.EventStop, 1) != 0 {
		t.Error("the vehicle was told to stop while a session was open")
	}
	p.hook(t, "on_stop", "many", v.id(1)).expect(t, http.StatusOK, "0")
	v.waitIdle(t, 1)
	if stops := v.count(simvehicle.EventStop, 1); stops != 1 {
		t.Errorf("the vehicle was told to stop %d times", stops)
	}
}

// Whoever comes within the grace period does not start the vehicle anew.
func TestGrace(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	v := p.vehicle(t, nil)
	for range 3 {
		watchShortly(t, p.flv(v.id(1)))
	}
	if starts := v.count(simvehicle.EventStart, 1); starts != 1 {
		t.Errorf("the vehicle was told to send %d times", starts)
	}
	v.waitIdle(t, 1)
}

// A viewer that reads nothing is got rid of, and another one on the same stream does not notice it.
func TestStalledViewer(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	// Eight times as fast, so that the buffers on the way are soon full.
	content, err := simvehicle.NewContent(fastClip())
	if err != nil {
		t.Fatal(err)
	}
	v := p.vehicle(t, func(v *simvehicle.Vehicle) {
		v.Content = func(uint8, bool) *simvehicle.Content { return content }
	})
	good := []*viewer{view(t, p.flv(v.id(1))), view(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp")}
	for _, viewer := range good {
		viewer.waitFor(t, 50)
	}
	before := p.metric(t, p.Web, "web_viewers_ended_total", `reason="stalled"`)
	stallFLV(t, p.Addresses.HTTP, "/live/"+v.id(1)+".flv")
	stallRTSP(t, p.Addresses.RTSP, p.rtsp(v.id(1)))
	eventually(t, "the stalled FLV viewer is ended", func() bool {
		return p.metric(t, p.Web, "web_viewers_ended_total", `reason="stalled"`) > before
	})
	for _, viewer := range good {
		if took := viewer.waitFor(t, 400); took > 10*time.Second {
			t.Errorf("400 pictures of 200 a second took %v by %s", took, viewer.url)
		}
		if text := viewer.complaints(); text != "" {
			t.Errorf("%s: %s", viewer.url, text)
		}
	}
}

// Who asks by RTSP for what there is not gets 404 and 504.
func TestRTSPErrors(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	silent := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.NeverDial = true })
	blind := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.NeverKey = true })
	rude := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.Refuse = true })
	for _, c := range []struct{ name, path, want string }{
		{"not a stream", "/live/hello", "404"},
		{"not canonical", "/live/6495940943803", "404"},
		{"channel 0", "/live/06495940943800", "404"},
		{"no such app", "/movies/06495940943803", "404"},
		{"vehicle not connected", "/live/09999999999901", "504"},
		{"never dials", "/live/" + silent.id(1), "504"},
		{"never a key frame", "/live/" + blind.id(1), "504"},
		{"refuses", "/live/" + rude.id(1), "504"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status := describe(t, p.Addresses.RTSP, "rtsp://"+p.Addresses.RTSP+c.path)
			if !strings.HasPrefix(status, "RTSP/1.0 "+c.want) {
				t.Errorf("DESCRIBE %s is answered %q, want %s", c.path, status, c.want)
			}
		})
	}
}

// The same by HTTP-FLV: the answer says at which stage the start has failed.
func TestFLVErrors(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	silent := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.NeverDial = true })
	blind := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.NeverKey = true })
	broken := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.BadSPS = true })
	for _, c := range []struct {
		name, file string
		status     int
		says       string
	}{
		{"not a stream", "hello.flv", http.StatusNotFound, "not a stream id"},
		{"not canonical", "6495940943803.flv", http.StatusNotFound, `"canonical":"06495940943803"`},
		{"not a format", "06495940943803.avi", http.StatusNotFound, "streams are played as"},
		{"vehicle not connected", "09999999999901.flv", http.StatusGatewayTimeout, "not connected"},
		{"never dials", silent.id(1) + ".flv", http.StatusGatewayTimeout, "did not dial"},
		{"never a key frame", blind.id(1) + ".flv", http.StatusGatewayTimeout, "no key frame"},
		{"broken SPS", broken.id(1) + ".flv", http.StatusGatewayTimeout, `"stage"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			get(t, p.web("/live/"+c.file)).expect(t, c.status, c.says)
			if c.name == "broken SPS" && p.metric(t, p.JT1078, "jt1078_hub_frames_dropped_total") == 0 {
				t.Error("what was dropped was not counted")
			}
		})
	}
}

// Vehicles that break the standard and can be understood all the same.
func TestVehiclesThatMisbehave(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	t.Run("noise between packets", func(t *testing.T) {
		t.Parallel()
		v := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.Garbage = true })
		decode(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp")
		if p.metric(t, p.JT1078, "jt1078_ingest_skipped_bytes_total") == 0 {
			t.Error("the noise was not counted")
		}
	})
	t.Run("never stops", func(t *testing.T) {
		t.Parallel()
		v := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.IgnoreStop = true })
		viewer := view(t, p.flv(v.id(1)))
		viewer.waitFor(t, 10)
		viewer.leave()
		// Told to stop, it goes on, and its connection is closed.
		eventually(t, "the vehicle's connection is closed", func() bool {
			return v.count(simvehicle.EventStop, 1) > 0 && v.count(simvehicle.EventMediaLost, 1) > 0 && !v.Active(1)
		})
	})
	t.Run("dials again", func(t *testing.T) {
		t.Parallel()
		v := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.RedialAfter = 3 * time.Second })
		flv, rtsp := view(t, p.flv(v.id(1))), view(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp")
		for _, viewer := range []*viewer{flv, rtsp} {
			viewer.waitFor(t, 8*25)
			if text := viewer.complaints(); text != "" {
				t.Errorf("%s: %s", viewer.url, text)
			}
		}
		if n := v.count(simvehicle.EventSending, 1); n < 2 {
			t.Errorf("the vehicle dialled %d times", n)
		}
	})
	t.Run("changes its resolution", func(t *testing.T) {
		t.Parallel()
		v := p.vehicle(t, func(v *simvehicle.Vehicle) { v.Faults.ChangeAfter = 3 * time.Second })
		rtsp := view(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp")
		sizes := frameSizes(t, p.flv(v.id(1)), 8)
		if want := []string{"704x576", "352x288"}; fmt.Sprint(sizes) != fmt.Sprint(want) {
			t.Errorf("the FLV viewer saw %v, want %v", sizes, want)
		}
		rtsp.waitFor(t, 25)
	})
	t.Run("two with one SIM", func(t *testing.T) {
		t.Parallel()
		first := p.vehicle(t, nil)
		viewer := view(t, p.flv(first.id(1)))
		viewer.waitFor(t, 10)
		// The other one is at the gateway too, and sends though nobody has asked it.
		second := p.vehicle(t, func(v *simvehicle.Vehicle) { v.SIM, v.Media = first.SIM, p.Addresses.Live })
		viewer.waitFor(t, 100)
		if text := viewer.complaints(); text != "" {
			t.Errorf("the viewer complains: %s", text)
		}
		second.Close()
		viewer.waitFor(t, 100)
	})
}
