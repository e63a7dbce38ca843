package rtsp

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/pkg/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// path is the stream that tests play.
const path = "/live/06495940943803"

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func startServer(t *testing.T, r *fakeRelay, change func(*Config)) *Server {
	t.Helper()
	log := zerolog.New(zerolog.NewTestWriter(t))
	registry := prometheus.NewPedanticRegistry()
	config := relay.DefaultConfig()
	config.Address = r.address
	client := &relay.Client{Config: config, Name: "test", Log: log, Metrics: registry}
	if err := client.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s := &Server{Config: DefaultConfig(), Relay: client, Log: log, Metrics: registry}
	s.Config.Address = "127.0.0.1:0"
	s.Config.RTPAddress, s.Config.RTCPAddress = freePair(t)
	if change != nil {
		change(&s.Config)
	}
	if err := s.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// freePair finds an even UDP port that is free together with the next one.
func freePair(t *testing.T) (rtp, rtcp string) {
	t.Helper()
	for range 100 {
		l, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.LocalAddr().(*net.UDPAddr).Port
		next, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port+1))
		l.Close()
		if err != nil {
			continue
		}
		next.Close()
		if port%2 == 0 {
			return fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
		}
	}
	t.Fatal("no free pair of UDP ports")
	return "", ""
}

func url(s *Server, path string) string { return "rtsp://" + s.Addr().String() + path }

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// player is an RTSP client that keeps what it gets.
type player struct {
	t      *testing.T
	client *gortsplib.Client
	desc   *description.Session

	mutex   sync.Mutex // guards what follows
	packets [trackCount][]*rtp.Packet
	reports [trackCount][]*rtcp.SenderReport
}

// play connects, sets all tracks up and plays.
func play(t *testing.T, address string, transport gortsplib.Transport) *player {
	t.Helper()
	p := &player{t: t, client: &gortsplib.Client{Transport: &transport, OnPacketsLost: func(uint64) {} /* checkOrder tells */}}
	u, err := base.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.client.Start(u.Scheme, u.Host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.Close)
	if p.desc, _, err = p.client.Describe(u); err != nil {
		t.Fatal(err)
	}
	if err := p.client.SetupAll(p.desc.BaseURL, p.desc.Medias); err != nil {
		t.Fatal(err)
	}
	for i, media := range p.desc.Medias {
		p.client.OnPacketRTP(media, media.Formats[0], func(packet *rtp.Packet) {
			p.mutex.Lock()
			defer p.mutex.Unlock()
			p.packets[i] = append(p.packets[i], packet)
		})
		p.client.OnPacketRTCP(media, func(packet rtcp.Packet) {
			if report, ok := packet.(*rtcp.SenderReport); ok {
				p.mutex.Lock()
				defer p.mutex.Unlock()
				p.reports[i] = append(p.reports[i], report)
			}
		})
	}
	if _, err := p.client.Play(nil); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *player) count(t track) int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.packets[t])
}

// more waits for more packets of the track, and returns all that have come.
func (p *player) more(t track, n int) []*rtp.Packet {
	p.t.Helper()
	want := p.count(t) + n
	eventually(p.t, fmt.Sprintf("%d more packets of %s", n, t), func() bool { return p.count(t) >= want })
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.packets[t]
}

// checkOrder fails for a sequence number that is not the next one and for a timestamp that goes back.
func checkOrder(t *testing.T, packets []*rtp.Packet) {
	t.Helper()
	checkOrderPaused(t, packets, 0)
}

// checkOrderPaused allows for packets that a pause has caught in gortsplib's queue.
func checkOrderPaused(t *testing.T, packets []*rtp.Packet, pauses int) {
	t.Helper()
	for i := 1; i < len(packets); i++ {
		a, b := packets[i-1], packets[i]
		if gap := int16(b.SequenceNumber - a.SequenceNumber); gap > 1 && gap <= writeQueue && pauses > 0 {
			pauses--
		} else if gap != 1 {
			t.Errorf("packet %d follows %d", b.SequenceNumber, a.SequenceNumber)
		}
		if int32(b.Timestamp-a.Timestamp) < 0 {
			t.Errorf("timestamp %d follows %d", b.Timestamp, a.Timestamp)
		}
	}
}

// raw is an RTSP client that does as it is told.
type raw struct {
	net.Conn
	t    *testing.T
	in   *bufio.Reader
	cseq int
}

func dial(t *testing.T, s *Server) *raw {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &raw{Conn: c, t: t, in: bufio.NewReader(c)}
}

func (r *raw) send(method, url string, headers ...string) {
	r.t.Helper()
	r.cseq++
	request := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n%s\r\n", method, url, r.cseq, strings.Join(append(headers, ""), "\r\n"))
	if _, err := r.Write([]byte(request)); err != nil {
		r.t.Fatal(err)
	}
}

// answer reads a response's status line and session.
func (r *raw) answer() (status string, session string) {
	r.t.Helper()
	r.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // the Read below tells
	for {                                       // past RTP that comes first
		start, err := r.in.Peek(4)
		if err != nil {
			r.t.Fatal(err)
		}
		if start[0] != '$' {
			break
		}
		r.in.Discard(4 + int(start[2])<<8 + int(start[3])) //nolint:errcheck // the next Peek tells
	}
	var head []byte
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		line, err := r.in.ReadBytes('\n')
		if err != nil {
			r.t.Fatalf("after %q: %v", head, err)
		}
		head = append(head, line...)
	}
	var length int
	for _, line := range strings.Split(string(head), "\r\n") {
		fmt.Sscanf(line, "Content-Length: %d", &length) //nolint:errcheck // most lines are others
		if value, ok := strings.CutPrefix(line, "Session: "); ok {
			session, _, _ = strings.Cut(value, ";")
		}
	}
	if _, err := r.in.Discard(length); err != nil {
		r.t.Fatal(err)
	}
	status, _, _ = strings.Cut(strings.TrimPrefix(string(head), "RTSP/1.0 "), "\r\n")
	return status, session
}

func (r *raw) ask(method, url string, headers ...string) (status, session string) {
	r.t.Helper()
	r.send(method, url, headers...)
	return r.answer()
}

const (
	interleaved = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
	multicast   = "Transport: RTP/AVP;multicast"
)

func TestManyViewersOneUpstream(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, nil)
	var players []*player
	for i := range 10 {
		transport := gortsplib.TransportTCP
		if i%2 == 1 {
			transport = gortsplib.TransportUDP
		}
		players = append(players, play(t, url(s, path), transport))
	}
	for _, p := range players {
		checkOrder(t, p.more(trackVideo, 60))
		checkOrder(t, p.more(trackAudio, 10))
	}
	if n := r.subscribes.Load(); n != 1 {
		t.Errorf("%d subscriptions for %d viewers, want 1", n, len(players))
	}
	for _, transport := range []string{"TCP", "UDP"} {
		if n := testutil.ToFloat64(s.metrics.viewers.WithLabelValues(transport)); n != 5 {
			t.Errorf("pc_viewers %s is %v, want 5", transport, n)
		}
	}
	for _, p := range players {
		p.client.Close()
	}
	eventually(t, "the last viewer gone ends the subscription", func() bool { return r.active.Load() == 0 })
	if n := testutil.ToFloat64(s.metrics.places); n != 0 {
		t.Errorf("pc_places_taken is %v, want 0", n)
	}
}

func TestLeaseEndsWithoutPlay(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, func(c *Config) { c.Lease = 300 * time.Millisecond })
	for _, setup := range []bool{false, true} {
		c := dial(t, s)
		if status, _ := c.ask("DESCRIBE", url(s, path)); status != "200 OK" {
			t.Fatal(status)
		}
		if setup {
			if status, _ := c.ask("SETUP", url(s, path)+"/trackID=0", interleaved); status != "200 OK" {
				t.Fatal(status)
			}
		}
		if n := r.active.Load(); n != 1 {
			t.Errorf("%d subscriptions during the lease, want 1", n)
		}
		eventually(t, "the lease ends", func() bool { return r.active.Load() == 0 })
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, func(c *Config) { c.StartTimeout = 500 * time.Millisecond; c.MaxViewers = 2 })
	c := dial(t, s)
	want := func(path, status string) {
		t.Helper()
		if got, _ := c.ask("DESCRIBE", url(s, path)); !strings.HasPrefix(got, status) {
			t.Errorf("%s: %q, want %q", path, got, status)
		}
	}
	want("/", "404 ")
	want("/live", "404 ")
	want("/talk/06495940943803", "404 ")
	want("/live/06495940943803/trackID=0", "404 ")
	want("/live/6495940943803", `404 Not Found (stream id "6495940943803" is not canonical, use "06495940943803")`)
	want("/live/06495940943899", "404 ")
	want("/live/06495940943803%0d%0aX", "404 ")
	if n := r.subscribes.Load(); n != 0 {
		t.Errorf("%d subscriptions for malformed ids", n)
	}

	r.set(func() { r.mute = true })
	want("/live/06495940943804", "504 Gateway Timeout (the vehicle was told to send and has not replied)")
	r.set(func() { r.mute = false; r.noKeys = true })
	want("/live/06495940943804", "504 Gateway Timeout (the vehicle sends no key frame that can be shown)")
	r.set(func() { r.refuse = startFailed(t) })
	want("/live/06495940943804", "504 Gateway Timeout (no vehicle)")
	r.set(func() { r.refuse = refused })
	want("/live/06495940943804", "503 Service Unavailable (jt1078_server refuses: too many streams)")
	r.set(func() { r.refuse = nil; r.noKeys = false })
	eventually(t, "no subscription is left", func() bool { return r.active.Load() == 0 })

	play(t, url(s, path), gortsplib.TransportTCP)
	play(t, url(s, path), gortsplib.TransportTCP)
	want(path, "503 Service Unavailable (there are rtsp.max_viewers viewers already)")

	if got, _ := dial(t, s).ask("SETUP", url(s, path)+"/trackID=0", multicast); got != "461 Unsupported Transport" {
		t.Errorf("multicast: %q, want 461", got)
	}
}

func TestClientLeavesWhileDescribeWaits(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	r.mute = true
	s := startServer(t, r, func(c *Config) { c.StartTimeout = time.Hour })
	for _, ask := range []func(*raw){
		func(c *raw) { c.send("DESCRIBE", url(s, path)) },
		func(c *raw) { c.send("SETUP", url(s, path)+"/trackID=0", interleaved) },
		func(c *raw) { c.send("DESCRIBE", url(s, path)); c.send("OPTIONS", url(s, path)) }, // sent ahead
	} {
		c := dial(t, s)
		ask(c)
		eventually(t, "the subscription begins", func() bool { return r.active.Load() == 1 })
		c.Close()
		eventually(t, "the subscription ends", func() bool { return r.active.Load() == 0 })
	}

	// A server that closes does not wait for the vehicle either.
	dial(t, s).send("DESCRIBE", url(s, path))
	eventually(t, "the subscription begins", func() bool { return r.active.Load() == 1 })
	s.Close()
}

func TestWaitingDisturbsNobody(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, func(c *Config) { c.StartTimeout = time.Hour })
	p := play(t, url(s, path), gortsplib.TransportTCP)
	r.set(func() { r.mute = true })
	waiting := dial(t, s)
	waiting.send("DESCRIBE", url(s, "/live/06495940943804"))
	eventually(t, "the second subscription begins", func() bool { return r.active.Load() == 2 })

	play(t, url(s, path), gortsplib.TransportUDP).more(trackVideo, 10)
	p.more(trackVideo, 10)
}

// A session is for the connection that made it: see handler.OnRequest.
func TestSessionOfAnotherConnection(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, nil)
	owner, other := dial(t, s), dial(t, s)
	_, session := owner.ask("SETUP", url(s, path)+"/trackID=0", interleaved)
	if got, _ := other.ask("PLAY", url(s, path), "Session: "+session); got != "454 Session Not Found" {
		t.Errorf("PLAY: %q, want 454", got)
	}
	if got, _ := dial(t, s).ask("TEARDOWN", url(s, path), "Session: "+session); got != "454 Session Not Found" {
		t.Errorf("TEARDOWN: %q, want 454", got)
	}
	if got, _ := owner.ask("PLAY", url(s, path), "Session: "+session); got != "200 OK" {
		t.Errorf("PLAY by the owner: %q, want 200", got)
	}
	if got, _ := owner.ask("PLAY", url(s, path), "Session: "+session); got != "200 OK" {
		t.Errorf("PLAY again: %q, want 200", got)
	}
}

func TestPauseAndPlay(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, nil)
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		p := play(t, url(s, path), transport)
		p.more(trackVideo, 20)
		for range 2 {
			if _, err := p.client.Pause(); err != nil {
				t.Fatal(err)
			}
			if _, err := p.client.Play(nil); err != nil {
				t.Fatal(err)
			}
			p.more(trackVideo, 60)
		}
		checkOrderPaused(t, p.more(trackVideo, 1), 2)
		checkOrderPaused(t, p.more(trackAudio, 1), 2)
		if n := r.subscribes.Load(); n != 1 {
			t.Errorf("%d subscriptions, want 1", n)
		}
	}
}

func TestRelayRestarts(t *testing.T) {
	t.Parallel()
	c := makeClip(t, "320x240", 4)
	r := startRelay(t, c, "127.0.0.1:0")
	s := startServer(t, r, nil)
	p := play(t, url(s, path), gortsplib.TransportTCP)
	p.more(trackVideo, 30)
	r.stop()
	r = startRelay(t, c, r.address)
	checkOrder(t, p.more(trackVideo, 60))
	checkOrder(t, p.more(trackAudio, 20))
	if n := r.subscribes.Load(); n != 1 {
		t.Errorf("%d subscriptions after the restart, want 1", n)
	}
}

func TestResolutionChanges(t *testing.T) {
	t.Parallel()
	small, large := makeClip(t, "320x240", 4), makeClip(t, "640x480", 4)
	r := startRelay(t, small, "127.0.0.1:0")
	s := startServer(t, r, nil)
	p := play(t, url(s, path), gortsplib.TransportTCP)
	before := p.desc.Medias[trackVideo].Formats[0].(*format.H264).SPS
	p.more(trackVideo, 10)
	r.set(func() { r.clip = large })
	eventually(t, "the new SPS comes in-band", func() bool {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		for _, packet := range p.packets[trackVideo] {
			for _, sps := range spsOf(packet) {
				if string(sps) != string(before) {
					return true
				}
			}
		}
		return false
	})
	checkOrder(t, p.more(trackVideo, 10))
	after := play(t, url(s, path), gortsplib.TransportTCP).desc.Medias[trackVideo].Formats[0].(*format.H264).SPS
	if string(after) == string(before) {
		t.Error("DESCRIBE still has the old SPS")
	}
}

// spsOf returns the sequence parameter sets in a packet that aggregates (RFC 6184, STAP-A).
func spsOf(packet *rtp.Packet) [][]byte {
	var sets [][]byte
	if packet.Payload[0]&0x1f != 24 {
		return nil
	}
	for rest := packet.Payload[1:]; len(rest) > 2; {
		size := int(rest[0])<<8 | int(rest[1])
		if rest[2]&0x1f == 7 {
			sets = append(sets, rest[2:2+size])
		}
		rest = rest[2+size:]
	}
	return sets
}

func TestCodecChangesDisconnects(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, nil)
	p := play(t, url(s, path), gortsplib.TransportTCP)
	p.more(trackVideo, 10)
	r.set(func() { r.clip = makeClip(t, "320x240", 4, "-c:v", "libx265", "-x265-params", "log-level=error") })
	ended := make(chan error, 1)
	go func() { ended <- p.client.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the viewer is still connected")
	}
	if _, ok := play(t, url(s, path), gortsplib.TransportTCP).desc.Medias[trackVideo].Formats[0].(*format.H265); !ok {
		t.Error("the SDP does not offer H.265")
	}
}

func TestViewerThatStopsReading(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "640x480", 4, "-c:v", "libx264", "-bf", "0", "-qp", "5"), "127.0.0.1:0")
	s := startServer(t, r, func(c *Config) { c.WriteTimeout = time.Second; c.MaxLag = 500 * time.Millisecond })
	good := play(t, url(s, path), gortsplib.TransportTCP)
	c := dial(t, s)
	c.Conn.(*net.TCPConn).SetReadBuffer(4096) //nolint:errcheck // the test is only longer without
	c.ask("DESCRIBE", url(s, path))
	_, session := c.ask("SETUP", url(s, path)+"/trackID=0", interleaved)
	c.ask("PLAY", url(s, path), "Session: "+session)
	eventually(t, "two play", func() bool { return testutil.ToFloat64(s.metrics.viewers.WithLabelValues("TCP")) == 2 })
	eventually(t, "it skips", func() bool { return testutil.ToFloat64(s.metrics.skips) > 0 })
	eventually(t, "it is disconnected", func() bool { return testutil.ToFloat64(s.metrics.viewers.WithLabelValues("TCP")) == 1 })
	checkOrder(t, good.more(trackVideo, 100))
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	r := startRelay(t, makeClip(t, "320x240", 4), "127.0.0.1:0")
	s := startServer(t, r, func(c *Config) { c.MaxConnections = 1; c.IdleTimeout = 300 * time.Millisecond })
	first, second := dial(t, s), dial(t, s)
	for _, c := range []*raw{second, first} { // refused; idle
		c.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // the Read tells
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("Read: %d, %v; want the connection closed", n, err)
		}
	}
	if n := testutil.ToFloat64(s.metrics.connectionsRefused); n != 1 {
		t.Errorf("pc_rtsp_connections_refused_total is %v, want 1", n)
	}
	// A viewer may be silent for longer.
	p := play(t, url(s, path), gortsplib.TransportTCP)
	p.more(trackVideo, 100)
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &Server{Config: DefaultConfig(), Relay: &relay.Client{}, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()}
	s.Config.Address, s.Config.RTPAddress, s.Config.RTCPAddress = l.Addr().String(), "", ""
	if err := s.Initialize(); err == nil || !strings.HasPrefix(err.Error(), "rtsp.address: "+l.Addr().String()+" is taken") {
		t.Errorf("%v does not name the key", err)
	}
}
