package simvehicle

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
	"multi_process_server/pkg/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// platform is a gateway and a media port that write down what comes.
type platform struct {
	t              *testing.T
	gateway, media net.Listener
	messages       chan jt808.Message
	connections    chan net.Conn // of the media port
	frames         chan jt1078.Frame
	stats          chan jt1078.ReaderStats // when a media connection ends
	wg             sync.WaitGroup

	mutex  sync.Mutex // guards what follows
	conns  []net.Conn
	signal net.Conn
	last   jt808.Header // of the vehicle's last message
	serial uint16
}

func newPlatform(t *testing.T) *platform {
	p := &platform{
		t: t, messages: make(chan jt808.Message, 1000), connections: make(chan net.Conn, 10),
		frames: make(chan jt1078.Frame, 10000), stats: make(chan jt1078.ReaderStats, 10),
	}
	p.gateway, p.media = p.listen(p.serveGateway), p.listen(p.serveMedia)
	t.Cleanup(func() {
		p.gateway.Close()
		p.media.Close()
		p.mutex.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mutex.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *platform) listen(serve func(net.Conn)) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mutex.Lock()
			p.conns = append(p.conns, c)
			p.mutex.Unlock()
			p.wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	return l
}

func (p *platform) serveGateway(c net.Conn) {
	p.mutex.Lock()
	p.signal = c
	p.mutex.Unlock()
	r := jt808.NewReader(c)
	var m jt808.Message
	for r.Read(&m) == nil {
		p.mutex.Lock()
		p.last = m.Header
		p.mutex.Unlock()
		switch m.Header.ID {
		case jt808.IDRegister:
			p.send(&jt808.RegisterReply{Serial: m.Header.Serial, AuthCode: "let me in"})
		case jt808.IDAuthenticate, jt808.IDHeartbeat, jt808.IDLocation:
			p.send(&jt808.PlatformReply{Serial: m.Header.Serial, To: m.Header.ID})
		}
		m.Body = bytes.Clone(m.Body)
		p.messages <- m
	}
}

func (p *platform) send(body jt808.Body) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.serial++
	b, err := jt808.Append(nil, jt808.Header{Version: p.last.Version, ProtocolVersion: 1, SIM: p.last.SIM, Serial: p.serial}, body)
	if err != nil {
		p.t.Error(err)
	}
	p.signal.Write(b)
}

func (p *platform) serveMedia(c net.Conn) {
	p.connections <- c
	r := jt1078.NewReader(c, jt1078.ReaderOptions{})
	a := jt1078.NewAssembler(jt1078.AssemblerOptions{})
	var packet jt1078.Packet
	for r.Read(&packet) == nil {
		if f, ok := a.Push(&packet); ok {
			f.Data = bytes.Clone(f.Data)
			p.frames <- f
		}
	}
	p.stats <- r.Stats()
}

// message waits for the next message with an id.
func (p *platform) message(id jt808.MessageID, body jt808.Body) jt808.Header {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-p.messages:
			if m.Header.ID != id {
				continue
			}
			if err := body.Unmarshal(m.Body, m.Header.Version); err != nil {
				p.t.Fatal(err)
			}
			return m.Header
		case <-deadline:
			p.t.Fatalf("no %s came", id)
		}
	}
}

// command sends a message and waits for its reply.
func (p *platform) command(body jt808.Body) jt808.Result {
	p.t.Helper()
	p.send(body)
	for {
		var reply jt808.TerminalReply
		p.message(jt808.IDTerminalReply, &reply)
		if reply.To == body.ID() {
			return reply.Result
		}
	}
}

func (p *platform) start(channel uint8, m jt808.MediaType) jt808.Result {
	p.t.Helper()
	host, port, _ := net.SplitHostPort(p.media.Addr().String())
	n, _ := strconv.Atoi(port)
	return p.command(&jt808.LiveStart{Host: host, TCPPort: uint16(n), Channel: channel, Media: m, Stream: jt808.StreamSub})
}

func (p *platform) frame() jt1078.Frame {
	p.t.Helper()
	return wait(p.t, p.frames, "frame")
}

func wait[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("no %s came", what)
	}
	return v
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not so: " + what)
		}
	}
}

// newVehicle starts a vehicle that is online at the platform.
func newVehicle(t *testing.T, p *platform, change func(*Vehicle)) *Vehicle {
	t.Helper()
	sim, err := jt1078.ParseSIM("064959409438")
	if err != nil {
		t.Fatal(err)
	}
	v := &Vehicle{SIM: sim, Channels: 4, Gateway: p.gateway.Addr().String(), Retry: 10 * time.Millisecond}
	if change != nil {
		change(v)
	}
	v.Start()
	t.Cleanup(v.Close)
	if v.Gateway != "" {
		eventually(t, "the vehicle is online", v.Online)
	}
	return v
}

func TestRegistersAuthenticatesAndReports(t *testing.T) {
	for _, version := range []jt808.Version{jt808.Version2013, jt808.Version2019} {
		t.Run(version.String(), func(t *testing.T) {
			p := newPlatform(t)
			v := newVehicle(t, p, func(v *Vehicle) {
				v.Version = version
				v.Heartbeat, v.Location = 20*time.Millisecond, 30*time.Millisecond
			})
			var register jt808.Register
			if h := p.message(jt808.IDRegister, &register); h.Version != version || h.SIM != v.SIM || register.TerminalID != "9409438" {
				t.Errorf("%+v %+v", h, register)
			}
			var authenticate jt808.Authenticate
			p.message(jt808.IDAuthenticate, &authenticate)
			if authenticate.Code != "let me in" {
				t.Errorf("%+v", authenticate)
			}
			p.message(jt808.IDHeartbeat, &jt808.Heartbeat{})
			var location jt808.Location
			p.message(jt808.IDLocation, &location)
			if lat, lon := location.Degrees(); lat < 22 || lat > 23 || lon < 113 || lon > 115 {
				t.Errorf("%+v", location)
			}
		})
	}
}

// A vehicle whose gateway went away comes back with the code that it has.
func TestComesBack(t *testing.T) {
	p := newPlatform(t)
	newVehicle(t, p, nil)
	var authenticate jt808.Authenticate
	p.message(jt808.IDAuthenticate, &authenticate)
	p.mutex.Lock()
	p.signal.Close()
	p.mutex.Unlock()
	p.message(jt808.IDAuthenticate, &authenticate)
	if authenticate.Code != "let me in" {
		t.Errorf("%+v", authenticate)
	}
}

func TestSendsWhenTold(t *testing.T) {
	for _, version := range []jt808.Version{jt808.Version2013, jt808.Version2019} {
		t.Run(version.String(), func(t *testing.T) {
			p := newPlatform(t)
			v := newVehicle(t, p, func(v *Vehicle) { v.Version = version })
			if result := p.start(3, jt808.MediaAV); result != jt808.ResultOK {
				t.Fatal(result)
			}
			first := p.frame()
			if first.DataType != jt1078.DataI || !bytes.Equal(first.Data, Default(3).units[Default(3).keyBefore(time.Duration(first.Timestamp)*time.Millisecond)].data) {
				t.Fatalf("the first frame is %s of %d bytes", first.DataType, len(first.Data))
			}
			video, sound := 1, 0
			for range 20 {
				f := p.frame()
				switch f.DataType {
				case jt1078.DataAudio:
					if f.Timestamp != first.Timestamp+uint64(sound*40) || len(f.Data) != 320 || f.PayloadType != jt1078.PayloadG711A {
						t.Fatalf("sound %d: %d bytes of %s at %d", sound, len(f.Data), f.PayloadType, f.Timestamp-first.Timestamp)
					}
					sound++
				default:
					if f.Timestamp != first.Timestamp+uint64(video*40) || f.PayloadType != jt1078.PayloadH264 {
						t.Fatalf("picture %d: %s at %d", video, f.PayloadType, f.Timestamp-first.Timestamp)
					}
					video++
				}
			}
			if sound == 0 || video < 2 {
				t.Errorf("%d pictures, %d packets of sound", video, sound)
			}
			if result := p.command(&jt808.LiveControl{Channel: 3}); result != jt808.ResultOK {
				t.Fatal(result)
			}
			if stats := wait(t, p.stats, "end of the connection"); stats.SkippedBytes != 0 {
				t.Errorf("%+v", stats)
			}
			eventually(t, "the channel is idle", func() bool { return !v.Active(3) })
		})
	}
}

func TestVideoOnlyAndControls(t *testing.T) {
	p := newPlatform(t)
	newVehicle(t, p, func(v *Vehicle) {
		v.Content = func(_ uint8, sub bool) *Content {
			if sub {
				return Small()
			}
			return Default(1)
		}
	})
	p.start(1, jt808.MediaVideo)
	for range 10 {
		if f := p.frame(); !f.DataType.IsVideo() {
			t.Fatalf("got %s", f.DataType)
		}
	}
	// Sub stream was asked for; main is another picture, and starts with a key frame.
	if result := p.command(&jt808.LiveControl{Channel: 1, Command: jt808.ControlSwitch, Stream: jt808.StreamMain}); result != jt808.ResultOK {
		t.Fatal(result)
	}
	for {
		f := p.frame()
		if f.DataType != jt1078.DataI {
			continue
		}
		var sets media.ParameterSets
		sets.Observe(media.CodecH264, media.AppendNALUs(nil, f.Data))
		if w, _ := sets.Size(media.CodecH264); w == 704 {
			break
		}
	}
	p.command(&jt808.LiveControl{Channel: 1, Command: jt808.ControlPause})
	for paused := false; !paused; {
		select {
		case <-p.frames:
		case <-time.After(500 * time.Millisecond):
			paused = true
		}
	}
	p.command(&jt808.LiveControl{Channel: 1, Command: jt808.ControlResume})
	p.frame()

	for _, c := range []struct {
		body jt808.Body
		want jt808.Result
	}{
		{&jt808.LiveControl{Channel: 2, Command: jt808.ControlPause}, jt808.ResultFailed},
		{&jt808.LiveControl{Channel: 1, Command: jt808.ControlEndTalk}, jt808.ResultUnsupported},
		{&jt808.LiveStart{Host: "127.0.0.1", TCPPort: 1, Channel: 5}, jt808.ResultFailed},
		{&jt808.LiveStart{Host: "127.0.0.1", TCPPort: 1, Channel: 1, Media: jt808.MediaTalk}, jt808.ResultUnsupported},
		{&jt808.LiveStart{Host: "127.0.0.1", UDPPort: 1, Channel: 1}, jt808.ResultUnsupported},
		{&jt808.Heartbeat{}, jt808.ResultUnsupported},
	} {
		if got := p.command(c.body); got != c.want {
			t.Errorf("%+v: %s, want %s", c.body, got, c.want)
		}
	}
}

func TestUnasked(t *testing.T) {
	p := newPlatform(t)
	newVehicle(t, p, func(v *Vehicle) {
		v.Gateway, v.Media, v.Channels, v.NoSound = "", p.media.Addr().String(), 2, true
	})
	c := wait(t, p.connections, "connection")
	wait(t, p.connections, "connection")
	p.frame()
	c.Close() // it comes back by itself
	wait(t, p.connections, "connection")
}

func TestFaults(t *testing.T) {
	start := func(t *testing.T, f Faults, want jt808.Result) (*platform, *Vehicle) {
		t.Helper()
		p := newPlatform(t)
		v := newVehicle(t, p, func(v *Vehicle) { v.Faults = f })
		if got := p.start(1, jt808.MediaAV); got != want {
			t.Fatal(got)
		}
		return p, v
	}
	t.Run("refuse", func(t *testing.T) { start(t, Faults{Refuse: true}, jt808.ResultFailed) })
	t.Run("never-dial", func(t *testing.T) {
		p, v := start(t, Faults{NeverDial: true}, jt808.ResultOK)
		time.Sleep(100 * time.Millisecond)
		if len(p.connections) > 0 || v.Active(1) {
			t.Error("it dialled")
		}
	})
	t.Run("never-key", func(t *testing.T) {
		p, _ := start(t, Faults{NeverKey: true}, jt808.ResultOK)
		for range 120 {
			if f := p.frame(); f.DataType == jt1078.DataI {
				t.Fatal("a key frame")
			}
		}
	})
	t.Run("ignore-stop", func(t *testing.T) {
		p, v := start(t, Faults{IgnoreStop: true}, jt808.ResultOK)
		p.frame()
		if got := p.command(&jt808.LiveControl{Channel: 1}); got != jt808.ResultOK || !v.Active(1) {
			t.Error(got, v.Active(1))
		}
	})
	t.Run("garbage", func(t *testing.T) {
		p, v := start(t, Faults{Garbage: true}, jt808.ResultOK)
		for range 40 {
			p.frame()
		}
		v.Close()
		if stats := wait(t, p.stats, "end of the connection"); stats.SkippedBytes == 0 {
			t.Errorf("%+v", stats)
		}
	})
	t.Run("bad-sps", func(t *testing.T) {
		p, _ := start(t, Faults{BadSPS: true}, jt808.ResultOK)
		var sets media.ParameterSets
		if _, err := sets.Observe(media.CodecH264, media.AppendNALUs(nil, p.frame().Data)); err == nil {
			t.Error("the SPS is good")
		}
	})
	t.Run("redial", func(t *testing.T) {
		p, _ := start(t, Faults{RedialAfter: 200 * time.Millisecond}, jt808.ResultOK)
		first := p.frame()
		wait(t, p.connections, "connection")
		wait(t, p.connections, "second connection")
		for {
			if f := p.frame(); f.DataType == jt1078.DataI {
				if f.Timestamp < first.Timestamp+200 {
					t.Error("the vehicle's clock did not go on")
				}
				return
			}
		}
	})
	t.Run("change", func(t *testing.T) {
		p, _ := start(t, Faults{ChangeAfter: 200 * time.Millisecond}, jt808.ResultOK)
		var widths []int
		for len(widths) < 2 {
			f := p.frame()
			if f.DataType != jt1078.DataI {
				continue
			}
			var sets media.ParameterSets
			sets.Observe(media.CodecH264, media.AppendNALUs(nil, f.Data))
			w, _ := sets.Size(media.CodecH264)
			widths = append(widths, w)
		}
		if widths[0] != 704 || widths[1] != 352 {
			t.Error(widths)
		}
	})
}
