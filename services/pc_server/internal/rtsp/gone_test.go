package rtsp

import (
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/relay"
)

// describe asks what the stream is until the answer begins as it should.
func describe(t *testing.T, s *Server, want string) {
	t.Helper()
	c := dial(t, s)
	eventually(t, "DESCRIBE is answered "+want, func() bool {
		status, _ := c.ask("DESCRIBE", url(s, path))
		return strings.HasPrefix(status, want)
	})
}

// A vehicle that has failed is described to nobody; who sees it already goes on when it comes back.
func TestVehicleFailsAndReturns(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, func(c *Config) { c.StartTimeout = time.Second })
	p := play(t, url(s, path), gortsplib.TransportTCP)
	p.more(trackVideo, 30)
	r.set(func() { r.refuse = startFailed(t) })
	describe(t, s, "504 Gateway Timeout (no vehicle)")
	n := p.count(trackVideo)
	describe(t, s, "504 Gateway Timeout (no vehicle)")
	if more := p.count(trackVideo) - n; more != 0 {
		t.Errorf("%d packets of video from a vehicle that is gone", more)
	}
	r.set(func() { r.refuse = nil })
	describe(t, s, "200 ")
	checkOrder(t, p.more(trackVideo, 30))
}

// An interruption is passed over in the hope that the vehicle dials again, but not for long.
func TestVehicleIsInterrupted(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, func(c *Config) { c.StartTimeout = 300 * time.Millisecond })
	p := play(t, url(s, path), gortsplib.TransportTCP)
	p.more(trackVideo, 30)
	key, err := parsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	st := streamOf(t, s, key)
	r.set(func() { r.away = true })
	eventually(t, "the interruption is known", func() bool {
		st.mutex.Lock()
		defer st.mutex.Unlock()
		return st.state.Stage == relay.StageInterrupted
	})
	describe(t, s, "200 ")
	st.check(time.Now().Add(staleAfter))
	describe(t, s, "504 Gateway Timeout (the vehicle's connection has ended")
	r.set(func() { r.away = false })
	describe(t, s, "200 ")
	checkOrder(t, p.more(trackVideo, 30))
	if n := testutil.ToFloat64(s.metrics.ended); n != 0 {
		t.Errorf("pc_viewers_without_video_total is %v, want 0", n)
	}
}

func streamOf(t *testing.T, s *Server, key jt1078.Key) *stream {
	t.Helper()
	st, release := s.pool.Acquire(key)
	t.Cleanup(release)
	return st
}

// A vehicle that stays away loses its viewers, those that pause too, so that it is called no more.
func TestNoVideoDisconnects(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, func(c *Config) { c.NoVideo = 2 * time.Second })
	var players []*player
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP, gortsplib.TransportTCP} {
		p := play(t, url(s, path), transport)
		p.more(trackVideo, 10)
		players = append(players, p)
	}
	if _, err := players[2].client.Pause(); err != nil {
		t.Fatal(err)
	}
	r.set(func() { r.away = true })
	eventually(t, "the subscription ends", func() bool { return r.active.Load() == 0 })
	if n := testutil.ToFloat64(s.metrics.ended); n != 2 {
		t.Errorf("pc_viewers_without_video_total is %v, want 2", n)
	}
	if n := testutil.ToFloat64(s.metrics.places); n != 0 {
		t.Errorf("pc_places_taken is %v, want 0", n)
	}
	r.set(func() { r.away = false })
	play(t, url(s, path), gortsplib.TransportTCP).more(trackVideo, 10)
}
