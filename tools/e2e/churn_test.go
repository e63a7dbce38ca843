package e2e

import (
	"testing"
	"time"

	"multi_process_server/tools/internal/suite"
)

// Viewers who come and go in every way leave nothing behind.
func TestNothingStaysBehind(t *testing.T) {
	t.Parallel()
	p := ownPlatform(t)
	v := p.vehicle(t, nil)
	round := func() {
		t.Helper()
		viewers := []*viewer{
			view(t, p.flv(v.id(1))),
			view(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp"),
			view(t, p.rtsp(v.id(1)), "-rtsp_transport", "udp"),
		}
		describe(t, p.Addresses.RTSP, p.rtsp(v.id(1))) // and never plays
		for _, viewer := range viewers {
			viewer.waitFor(t, 10)
			viewer.leave()
		}
		eventually(t, "the vehicle stops", func() bool { return !v.Active(1) })
		eventually(t, "nobody is served any more", func() bool {
			return p.metric(t, p.JT1078, "jt1078_relay_subscriptions") == 0 && p.metric(t, p.Web, "web_viewers") == 0 &&
				p.metric(t, p.PC, "pc_viewers") == 0 && p.metric(t, p.JT1078, "jt1078_hub_publishers") == 0
		})
	}
	round() // whatever is made once and kept is made now
	goroutines := func() map[string]float64 {
		n := map[string]float64{}
		for _, s := range p.Services() {
			n[s.Name] = p.metric(t, s, "go_goroutines")
		}
		return n
	}
	before := goroutines()
	for range 3 {
		round()
	}
	const scatter = 2 // the admin listener serves us
	eventually(t, "there are no more goroutines than before", func() bool {
		for name, n := range goroutines() {
			if n > before[name]+scatter {
				return false
			}
		}
		return true
	})
	t.Logf("goroutines before %v, after %v", before, goroutines())
}

// A service that is told to end while it is busy ends in order, and soon.
func TestStopUnderViewers(t *testing.T) {
	t.Parallel()
	p := ownPlatform(t)
	v := p.vehicle(t, nil)
	view(t, p.flv(v.id(1))).waitFor(t, 10)
	view(t, p.rtsp(v.id(1)), "-rtsp_transport", "tcp").waitFor(t, 10)
	for _, s := range []*suite.Service{p.PC, p.Web, p.JT1078} {
		began := time.Now()
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		t.Logf("%s took %v to end", s.Name, time.Since(began).Round(time.Millisecond))
	}
}
