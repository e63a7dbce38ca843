package e2e

import (
	"net/http"
	"testing"
	"time"

	"multi_process_server/tools/internal/simvehicle"
)

// web_server pushes to an RTMP server while a session is open: also where that server is down at first, goes away and
// comes back. Viewers without it do not notice.
func TestRTMP(t *testing.T) {
	t.Parallel()
	nginx := newRTMPServer(t)
	p := ownPlatform(t, "WEB_SRS_LIVE_RTMP_URL=rtmp://"+nginx.address+"/live")
	v := p.vehicle(t, nil)
	url := "rtmp://" + nginx.address + "/live/" + v.id(1)

	p.hook(t, "on_play", "player", v.id(1)).expect(t, http.StatusOK, "0")
	direct := view(t, p.flv(v.id(1)))
	direct.waitFor(t, 25)
	if err := p.Web.Ready(t.Context()); err != nil {
		t.Errorf("web_server is not ready without the RTMP server: %v", err)
	}

	nginx.start(t)
	found := ffprobe(t, url)
	found.expect(t, wantH264, found.aac())
	decode(t, url)

	nginx.kill()
	direct.waitFor(t, 25)
	nginx.start(t)
	again := view(t, url)
	again.waitFor(t, 50)

	p.hook(t, "on_stop", "player", v.id(1)).expect(t, http.StatusOK, "0")
	direct.waitFor(t, 50)
	if text := direct.complaints(); text != "" {
		t.Errorf("the direct viewer complains: %s", text)
	}
	direct.leave()
	v.waitIdle(t, 1)
	// Nothing comes any more.
	seen := again.seen()
	time.Sleep(time.Second)
	if now := again.seen(); now > seen+25 {
		t.Errorf("the RTMP server still gets pictures: %d, then %d", seen, now)
	}
	if n := v.count(simvehicle.EventSending, 1); n != 1 {
		t.Errorf("the vehicle dialled %d times", n)
	}
}

// A publish goes on over a re-dial of the vehicle and a change of resolution: an end of it would end SRS's players.
func TestRTMPPublishLasts(t *testing.T) {
	t.Parallel()
	nginx := newRTMPServer(t)
	nginx.start(t)
	p := ownPlatform(t, "WEB_SRS_LIVE_RTMP_URL=rtmp://"+nginx.address+"/live")
	v := p.vehicle(t, func(v *simvehicle.Vehicle) {
		v.Faults = simvehicle.Faults{RedialAfter: 5 * time.Second, ChangeAfter: 3 * time.Second}
	})
	p.hook(t, "on_play", "player", v.id(1)).expect(t, http.StatusOK, "0")
	viewer := view(t, "rtmp://"+nginx.address+"/live/"+v.id(1))
	viewer.waitFor(t, 9*25)
	if n := v.count(simvehicle.EventSending, 1); n < 2 {
		t.Errorf("the vehicle dialled %d times", n)
	}
	if n := p.metric(t, p.Web, "web_publish_attempts_total", `result="ok"`); n != 1 {
		t.Errorf("%v publishes, want 1", n)
	}
}
