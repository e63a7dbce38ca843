package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// jt1078_server is killed, and stopped, under viewers; they go on as soon as it is back.
func TestRestartUnderViewers(t *testing.T) {
	t.Parallel()
	nginx := newRTMPServer(t)
	nginx.start(t)
	p := ownPlatform(t, "WEB_SRS_LIVE_RTMP_URL=rtmp://"+nginx.address+"/live")
	v := p.vehicle(t, nil)
	p.hook(t, "on_play", "player", v.id(1)).expect(t, http.StatusOK, "0")
	viewers := []*viewer{
		view(t, p.flv(v.id(1))),
		view(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp"),
		view(t, p.rtsp(v.id(1)), "-rtsp_transport", "udp"),
		view(t, "rtmp://"+nginx.address+"/live/"+v.id(1)),
	}
	for _, viewer := range viewers {
		viewer.waitFor(t, 25)
	}
	for _, how := range []struct {
		name string
		end  func()
	}{
		{"killed", p.JT1078.Kill},
		{"stopped", func() {
			if err := p.JT1078.Stop(); err != nil {
				t.Error(err)
			}
		}},
	} {
		how.end()
		time.Sleep(500 * time.Millisecond) // viewers run out of pictures
		if err := p.JT1078.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		eventually(t, "the vehicle is online again", v.Online)
		t.Logf("%s: the vehicle is online %.1f s after the restart", how.name, time.Since(back).Seconds())
		before := make([]int, len(viewers))
		for i, viewer := range viewers {
			before[i] = viewer.seen()
		}
		for going := map[int]bool{}; len(going) < len(viewers); time.Sleep(20 * time.Millisecond) {
			for i, viewer := range viewers {
				if !going[i] && viewer.seen() > before[i] {
					going[i] = true
					t.Logf("%s: %.1f s after the restart pictures come by %s", how.name, time.Since(back).Seconds(), viewer.url)
				}
			}
			if time.Since(back) > patience {
				t.Fatalf("of viewers 0 to %d only %v go on", len(viewers)-1, going)
			}
		}
		for _, viewer := range viewers {
			viewer.waitFor(t, 50)
		}
	}
	for _, viewer := range viewers {
		if text := viewer.complaints(); text != "" {
			t.Errorf("%s: %s", viewer.url, text)
		}
	}
}

// The consumers start, and are ready, as soon as jt1078_server is there, in whatever order.
func TestStartOrder(t *testing.T) {
	t.Parallel()
	s, err := newSuite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{Suite: s}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, service := range []interface{ Launch() error }{s.Web, s.PC} {
		if err := service.Launch(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "web_server says why it is not ready", func() bool {
		err := s.Web.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "503") && strings.Contains(err.Error(), "relay")
	})
	get(t, "http://"+s.Addresses.WebAdmin+"/healthz").expect(t, http.StatusOK, "ok")
	if err := s.JT1078.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Web.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.PC.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := p.vehicle(t, nil)
	view(t, p.flv(v.id(1))).waitFor(t, 10)
}
