package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/jt1078_server/internal/hub"
)

const (
	live   = jt1078.KindLive
	replay = jt1078.KindReplay
)

func TestFramesReachTheHub(t *testing.T) {
	s := setup(t, nil)
	key := mustKey(t, live, "06495940943803")
	c := watch(t, s, key)
	v := dial(t, s, key)
	frames := []jt1078.Frame{keyFrame(0), deltaFrame(40), deltaFrame(80)}
	v.send(frames...)
	wantFrames(t, c, frames...)
	v.conn.Close()
	wantEnded(t, s, "vehicle")
	if n := value(t, s.metrics.frames); n != 3 {
		t.Errorf("%v frames counted", n)
	}
	if n := value(t, s.metrics.open.WithLabelValues("live")); n != 0 {
		t.Errorf("%v connections open", n)
	}
}

// Item 24: the key is each packet's own.
func TestSeveralChannelsOnOneConnection(t *testing.T) {
	s := setup(t, nil)
	one, two := mustKey(t, live, "06495940943801"), mustKey(t, live, "06495940943802")
	first, second := watch(t, s, one), watch(t, s, two)
	v := dial(t, s, one)
	other := &vehicle{t, v.conn, jt1078.NewPacketizer(two.ID.SIM, two.ID.Channel, jt1078.PacketizerOptions{})}
	a, b := v.packets(keyFrame(1), deltaFrame(41)), other.packets(keyFrame(2), deltaFrame(42))
	// Packet by packet in turn.
	var mixed []byte
	for len(a) > 0 || len(b) > 0 {
		for _, rest := range []*[]byte{&a, &b} {
			if len(*rest) > 0 {
				n := 30 + int(binary.BigEndian.Uint16((*rest)[28:]))
				mixed = append(mixed, (*rest)[:n]...)
				*rest = (*rest)[n:]
			}
		}
	}
	v.write(mixed)
	wantFrames(t, first, keyFrame(1), deltaFrame(41))
	wantFrames(t, second, keyFrame(2), deltaFrame(42))
}

// Item 25: only the port tells playback from live.
func TestPortTellsTheKind(t *testing.T) {
	s := setup(t, nil)
	liveKey, replayKey := mustKey(t, live, "06495940943803"), mustKey(t, replay, "06495940943803")
	liveWatcher, replayWatcher := watch(t, s, liveKey), watch(t, s, replayKey)
	dial(t, s, liveKey).send(keyFrame(1))
	dial(t, s, replayKey).send(keyFrame(2))
	wantFrames(t, liveWatcher, keyFrame(1))
	wantFrames(t, replayWatcher, keyFrame(2))
}

// Item 22: ten bytes of SIM and leading zeros are the same vehicle as six.
func TestLongSIMWithLeadingZeros(t *testing.T) {
	s := setup(t, nil)
	key := mustKey(t, live, "06495940943803")
	c := watch(t, s, key)
	v := dial(t, s, key)
	v.packetizer = jt1078.NewPacketizer(key.ID.SIM, key.ID.Channel, jt1078.PacketizerOptions{LongSIM: true})
	v.send(keyFrame(0))
	wantFrames(t, c, keyFrame(0))
}

func garbage(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32()) | 0x80 // never the packets' magic
	}
	return b
}

// Bad input: garbage between packets.
func TestGarbageBetweenPackets(t *testing.T) {
	s := setup(t, nil)
	key := mustKey(t, live, "06495940943803")
	c := watch(t, s, key)
	v := dial(t, s, key)
	v.send(keyFrame(0))
	v.write(garbage(1000))
	v.send(deltaFrame(40))
	wantFrames(t, c, keyFrame(0), deltaFrame(40))
	v.conn.Close()
	wantEnded(t, s, "vehicle")
	if skipped, resyncs := value(t, s.metrics.skipped), value(t, s.metrics.resyncs); skipped != 1000 || resyncs != 1 {
		t.Errorf("%v bytes skipped, %v resyncs", skipped, resyncs)
	}
}

// Bad input: nothing but garbage.
func TestNothingButGarbage(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.MaxGarbage = 10_000 })
	v := dial(t, s, mustKey(t, live, "06495940943803"))
	_, _ = v.conn.Write(garbage(200_000)) // the server may close before the end
	v.closed()
	wantEnded(t, s, "garbage")
}

// Bad input: a vehicle that ends in the middle of a packet.
func TestTruncatedPacket(t *testing.T) {
	s := setup(t, nil)
	key := mustKey(t, live, "06495940943803")
	c := watch(t, s, key)
	v := dial(t, s, key)
	v.send(keyFrame(0))
	b := v.packets(deltaFrame(40))
	v.write(b[:len(b)-100])
	v.conn.Close()
	wantEnded(t, s, "vehicle")
	v = dial(t, s, key)
	v.send(keyFrame(5))
	wantFrames(t, c, keyFrame(0), keyFrame(5))
}

// Bad input: a packet that is longer, and one that is shorter, than its header says. The picture goes on; what cannot
// be told apart from garbage between two packets costs no more than the packet's own bytes.
func TestLengthThatLies(t *testing.T) {
	for _, by := range []int{-200, 200} {
		s := setup(t, nil)
		key := mustKey(t, live, "06495940943803")
		c := watch(t, s, key)
		v := dial(t, s, key)
		v.send(keyFrame(0))
		b := v.packets(deltaFrame(40))
		binary.BigEndian.PutUint16(b[28:], uint16(int(binary.BigEndian.Uint16(b[28:]))+by))
		v.write(b)
		v.send(deltaFrame(80), keyFrame(120), deltaFrame(160))
		wantFrames(t, c, keyFrame(0))
		f := nextFrame(t, c)
		for ; f.VehicleTimestamp < 120; f = nextFrame(t, c) {
		}
		if f.VehicleTimestamp != 120 || !bytes.Equal(f.Data, keyData) {
			t.Errorf("the next key frame is of %d bytes at %d", len(f.Data), f.VehicleTimestamp)
		}
		wantFrames(t, c, deltaFrame(160))
		v.conn.Close()
		wantEnded(t, s, "vehicle")
		if n := value(t, s.metrics.resyncs); n == 0 {
			t.Error("no resync counted")
		}
	}
}

// Bad input: a frame without end is capped, and does not keep the connection alive.
func TestFrameWithoutEnd(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) {
		c.MaxFrame, c.IdleTimeout = 64<<10, 300*time.Millisecond
	})
	key := mustKey(t, live, "06495940943803")
	v := dial(t, s, key)
	p := jt1078.Packet{PayloadType: jt1078.PayloadH264, SIM: key.ID.SIM, Channel: key.ID.Channel, Subpackage: jt1078.SubpackageFirst, Body: make([]byte, 900)}
	for range 200 {
		b, err := p.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		v.write(b)
		p.Subpackage = jt1078.SubpackageMiddle
		p.Sequence++
	}
	v.closed()
	wantEnded(t, s, "idle")
	if n := value(t, s.metrics.oversizedFrames); n != 1 {
		t.Errorf("%v oversized frames", n)
	}
}

// Bad input: frames without end on many channels of one connection.
func TestUnfinishedFramesOfOneConnectionAreBounded(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.MaxFrame = 64 << 10 })
	v := dial(t, s, mustKey(t, live, "06495940943801"))
	var sent int
	for channel := range uint8(8) {
		p := jt1078.Packet{PayloadType: jt1078.PayloadH264, SIM: mustKey(t, live, "06495940943801").ID.SIM, Channel: channel + 1, Subpackage: jt1078.SubpackageFirst, Body: make([]byte, 900)}
		for range 50 {
			b, err := p.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			n, err := v.conn.Write(b)
			sent += n
			if err != nil { // the server has had enough
				break
			}
			p.Subpackage = jt1078.SubpackageMiddle
			p.Sequence++
		}
	}
	v.closed()
	wantEnded(t, s, "unfinished_frames")
	if sent < s.Config.MaxFrame {
		t.Errorf("closed after %d bytes", sent)
	}
}

// Many channels whose frames are whole are not ended for the buffers that they leave behind.
func TestBuffersOfManyChannelsAreLetGo(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.MaxFrame = 64 << 10 })
	first := mustKey(t, live, "06495940943801")
	v := dial(t, s, first)
	big := keyFrame(0)
	big.Data = append(bytes.Clone(keyData), bytes.Repeat([]byte{0x5a}, 50<<10)...)
	for channel := range uint8(8) {
		key := first
		key.ID.Channel = channel + 1
		c := watch(t, s, key)
		v.packetizer = jt1078.NewPacketizer(key.ID.SIM, key.ID.Channel, jt1078.PacketizerOptions{})
		v.send(big, deltaFrame(40))
		wantFrames(t, c, big, deltaFrame(40))
	}
}

// A channel that the hub does not take is not a new one each time that it is offered.
func TestRefusedChannelIsChargedOnce(t *testing.T) {
	s := setup(t, func(c *Config, h *hub.Config) {
		c.NewChannelsPerSecond, c.NewChannelsBurst = 1, 1
	})
	ch := &channel{key: mustKey(t, live, "06495940943801")}
	now := time.Now()
	for range 5 {
		if err := s.admit(ch, now); err != nil {
			t.Fatal(err)
		}
	}
	other := &channel{key: mustKey(t, live, "06495940943802")}
	for range 2 {
		if err := s.admit(other, now); !errors.Is(err, errTooFast) {
			t.Fatalf("another channel: %v", err)
		}
	}
	if err := s.admit(other, now.Add(time.Second)); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

// Bytes that a reader takes back are not counted again when they come again.
func TestBytesTakenBackAreCountedOnce(t *testing.T) {
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	var counted jt1078.ReaderStats
	for _, skipped := range []uint64{100, 95, 110} {
		m.countReader(jt1078.ReaderStats{SkippedBytes: skipped}, &counted)
	}
	if n := value(t, m.skipped); n != 110 {
		t.Errorf("%v bytes skipped, want 110", n)
	}
}

// Bad input: two vehicles with one SIM.
func TestTwoVehiclesWithOneSIM(t *testing.T) {
	s := setup(t, func(_ *Config, h *hub.Config) { h.TakeOverAfter = patience })
	key := mustKey(t, live, "06495940943803")
	c := watch(t, s, key)
	first := dial(t, s, key)
	first.send(keyFrame(0))
	wantFrames(t, c, keyFrame(0))
	second := dial(t, s, key)
	second.send(keyFrame(7000))
	second.closed()
	wantEnded(t, s, "duplicate")
	first.send(deltaFrame(40))
	wantFrames(t, c, deltaFrame(40))
}

// Item 26: a vehicle that dials again, its old connection half open, takes over once that is silent.
func TestRedialTakesOver(t *testing.T) {
	s := setup(t, func(_ *Config, h *hub.Config) { h.TakeOverAfter = time.Millisecond })
	key := mustKey(t, live, "06495940943803")
	c := watch(t, s, key)
	old := dial(t, s, key)
	old.send(keyFrame(0))
	wantFrames(t, c, keyFrame(0))
	time.Sleep(10 * time.Millisecond)
	v := dial(t, s, key)
	v.send(keyFrame(5000))
	wantFrames(t, c, keyFrame(5000))
	old.closed()
	wantEnded(t, s, "taken_over")
	v.send(deltaFrame(5040))
	wantFrames(t, c, deltaFrame(5040))
}

// Item 20: an upload of alarm attachments begins with the same four bytes.
func TestAlarmAttachmentIsRefused(t *testing.T) {
	s := setup(t, nil)
	v := dial(t, s, mustKey(t, live, "06495940943803"))
	name := "00_65_6503_1_5a3b7c.jpg"
	v.write([]byte("01cd" + name + strings.Repeat("\x00", 50-len(name)) + strings.Repeat("x", 100)))
	v.closed()
	wantEnded(t, s, "alarm_attachment")
}

func TestTooManyChannels(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.MaxChannels = 2 })
	v := dial(t, s, mustKey(t, live, "06495940943801"))
	for _, name := range []string{"06495940943801", "06495940943802", "06495940943803"} {
		key := mustKey(t, live, name)
		v.packetizer = jt1078.NewPacketizer(key.ID.SIM, key.ID.Channel, jt1078.PacketizerOptions{})
		v.send(keyFrame(0))
	}
	v.closed()
	wantEnded(t, s, "too_many_channels")
}

func TestTooManyNewChannels(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.NewChannelsPerSecond, c.NewChannelsBurst = 1, 1 })
	dial(t, s, mustKey(t, live, "06495940943801")).send(keyFrame(0))
	eventually(t, "the first channel is taken", func() bool { return value(t, s.metrics.open.WithLabelValues("live")) == 1 })
	v := dial(t, s, mustKey(t, live, "06495940943802"))
	w := dial(t, s, mustKey(t, live, "06495940943803"))
	v.send(keyFrame(0))
	w.send(keyFrame(0))
	eventually(t, "one is refused", func() bool { return value(t, s.metrics.refused.WithLabelValues("too_fast")) >= 1 })
}

func TestTooManyConnections(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.MaxConnections = 1 })
	first := dial(t, s, mustKey(t, live, "06495940943801"))
	eventually(t, "the first is in", func() bool { return value(t, s.metrics.open.WithLabelValues("live")) == 1 })
	dial(t, s, mustKey(t, replay, "06495940943802")).closed()
	wantEnded(t, s, "too_many_connections")
	first.conn.Close()
	wantEnded(t, s, "vehicle")
}

func TestAcceptKnown(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.Accept = AcceptKnown })
	stranger, wanted, known := mustKey(t, live, "06495940943801"), mustKey(t, live, "06495940943802"), mustKey(t, live, "01391234567801")
	s.Known = func(sim jt1078.SIM) bool { return sim == known.ID.SIM }
	v := dial(t, s, stranger)
	v.send(keyFrame(0))
	v.closed()
	wantEnded(t, s, "unknown_vehicle")

	c := watch(t, s, wanted)
	dial(t, s, wanted).send(keyFrame(1))
	wantFrames(t, c, keyFrame(1))

	dial(t, s, known).send(keyFrame(2))
	wantFrames(t, watch(t, s, known), keyFrame(2))
}

func TestIdleConnectionIsClosed(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.IdleTimeout = 50 * time.Millisecond })
	dial(t, s, mustKey(t, live, "06495940943801")).closed()
	wantEnded(t, s, "idle")
}

func TestLivelyConnectionIsNotClosed(t *testing.T) {
	s := setup(t, func(c *Config, _ *hub.Config) { c.IdleTimeout = time.Second })
	v := dial(t, s, mustKey(t, live, "06495940943801"))
	for start := time.Now(); time.Since(start) < 1500*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		v.send(keyFrame(uint64(time.Since(start).Milliseconds())))
	}
	if n := value(t, s.metrics.open.WithLabelValues("live")); n != 1 {
		t.Errorf("%v connections are open", n)
	}
}

// What the hub ends on a connection that lives by other channels leaves those alone, and can come again.
func TestOneOfSeveralChannelsIsRefused(t *testing.T) {
	s := setup(t, func(_ *Config, h *hub.Config) { h.TakeOverAfter = patience })
	one, two := mustKey(t, live, "06495940943801"), mustKey(t, live, "06495940943802")
	owner := dial(t, s, two)
	owner.send(keyFrame(0))
	c := watch(t, s, two)
	wantFrames(t, c, keyFrame(0))

	v := dial(t, s, one)
	v.send(keyFrame(1))
	other := &vehicle{t, v.conn, jt1078.NewPacketizer(two.ID.SIM, two.ID.Channel, jt1078.PacketizerOptions{})}
	other.send(keyFrame(2))
	eventually(t, "the second channel is refused", func() bool { return value(t, s.metrics.refused.WithLabelValues("duplicate")) == 1 })
	v.send(deltaFrame(41))
	wantFrames(t, watch(t, s, one), keyFrame(1), deltaFrame(41))

	owner.conn.Close()
	wantEnded(t, s, "vehicle")
	eventually(t, "the second channel is taken, now that it is free", func() bool {
		other.send(keyFrame(3))
		time.Sleep(20 * time.Millisecond)
		return value(t, s.metrics.frames) > 3 && s.Hub.Wanted(two)
	})
	wantFrames(t, c, keyFrame(3))
}

// Bad input, from the other side: a viewer that stops reading never makes the vehicle wait.
func TestSlowSubscriberDoesNotStallTheVehicle(t *testing.T) {
	s := setup(t, func(_ *Config, h *hub.Config) { h.QueueMaxFrames = 64 })
	key := mustKey(t, live, "06495940943803")
	watch(t, s, key) // and never reads
	reader := watch(t, s, key)
	v := dial(t, s, key)
	for i := range 500 {
		f := deltaFrame(uint64(40 * i))
		if i%10 == 0 {
			f = keyFrame(uint64(40 * i))
		}
		v.send(f)
		wantFrames(t, reader, f)
	}
}

// The last channel that the hub ends takes the connection with it.
func TestHubStopsTheVehicle(t *testing.T) {
	s := setup(t, nil)
	key := mustKey(t, live, "06495940943803")
	v := dial(t, s, key)
	v.send(keyFrame(0))
	wantFrames(t, watch(t, s, key), keyFrame(0))
	s.Hub.Close()
	v.closed()
	wantEnded(t, s, "stopped")
}

func TestCloseEndsConnections(t *testing.T) {
	s := setup(t, nil)
	silent, lively := dial(t, s, mustKey(t, live, "06495940943801")), dial(t, s, mustKey(t, replay, "06495940943802"))
	lively.send(keyFrame(0))
	eventually(t, "both are in", func() bool {
		return value(t, s.metrics.open.WithLabelValues("live"))+value(t, s.metrics.open.WithLabelValues("replay")) == 2
	})
	s.Close()
	silent.closed()
	lively.closed()
}

func TestTakenPort(t *testing.T) {
	s := setup(t, nil)
	second := &Server{Config: s.Config, Hub: s.Hub}
	second.Config.ReplayAddress = s.Addr(replay).String()
	err := second.Initialize()
	if err == nil || !strings.Contains(err.Error(), "ingest.replay_address") || !strings.Contains(err.Error(), second.Config.ReplayAddress) {
		t.Errorf("got %v", err)
	}
}

func TestConfig(t *testing.T) {
	cfg := DefaultConfig()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	for key, change := range map[string]func(*Config){
		"live_address":            func(c *Config) { c.LiveAddress = "9501" },
		"replay_address":          func(c *Config) { c.ReplayAddress = "" },
		"accept":                  func(c *Config) { c.Accept = "some" },
		"idle_timeout":            func(c *Config) { c.IdleTimeout = 0 },
		"max_connections":         func(c *Config) { c.MaxConnections = 0 },
		"max_channels":            func(c *Config) { c.MaxChannels = -1 },
		"new_channels_per_second": func(c *Config) { c.NewChannelsPerSecond = 0 },
		"new_channels_burst":      func(c *Config) { c.NewChannelsBurst = 0 },
		"max_garbage":             func(c *Config) { c.MaxGarbage = 0 },
		"max_frame":               func(c *Config) { c.MaxFrame = 1 << 30 },
		"read_buffer":             func(c *Config) { c.ReadBuffer = 1 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "ingest."+key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestLimiter(t *testing.T) {
	l := newLimiter(10, 2)
	now := time.Now()
	tokens := func() int {
		n := 0
		for l.allow(now) {
			n++
		}
		return n
	}
	if n := tokens(); n != 2 {
		t.Errorf("%d tokens at once, want the burst", n)
	}
	now = now.Add(100 * time.Millisecond)
	if n := tokens(); n != 1 {
		t.Errorf("%d tokens after 100 ms at 10 a second", n)
	}
	now = now.Add(time.Hour)
	if n := tokens(); n != 2 {
		t.Errorf("%d tokens after an hour, want the burst", n)
	}
}

// Every way that a stream is cut into reads gives the same frames.
func TestReadsThatSplitPackets(t *testing.T) {
	s := setup(t, nil)
	key := mustKey(t, live, "06495940943803")
	c := watch(t, s, key)
	v := dial(t, s, key)
	b := v.packets(keyFrame(0), deltaFrame(40))
	for chunk := range slices.Chunk(b, 37) {
		v.write(chunk)
	}
	wantFrames(t, c, keyFrame(0), deltaFrame(40))
}
