package signalling

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"multi_process_server/pkg/jt808"
)

const (
	testSIM     = "064959409438"
	testLongSIM = "00000000064959409438" // the same vehicle in a header of 2019
)

// A whole session, every byte of both directions as it stands on the wire.
func TestSessionLiteral(t *testing.T) {
	for _, c := range []struct {
		name     string
		exchange [][2]string // sent, then what comes back
	}{
		{"2013", [][2]string{
			{
				"7e 0100 002d 064959409438 0001 002c0133 4d414b4552 4d4f44454c000000000000000000000000000000 41424331323334 02 bea9413132333435 f7 7e",
				"7e 8100 0013 064959409438 0000 0001 00 37663862623663366636366531663835 3a 7e",
			},
			{
				"7e 0102 0010 064959409438 0002 37663862623663366636366531663835 b8 7e",
				"7e 8001 0005 064959409438 0001 0002 0102 00 7d02 7e",
			},
			{
				"7e 0002 0000 064959409438 0003 fb 7e",
				"7e 8001 0005 064959409438 0002 0003 0002 00 7d01 7e",
			},
			{
				"7e 0200 001c 064959409438 0004 00000000 00000003 0157a6a8 06ca5a70 0028 0190 005a 260101120000 8a 7e",
				"7e 8001 0005 064959409438 0003 0004 0200 00 7b 7e",
			},
			{
				"7e 0003 0000 064959409438 0005 fc 7e",
				"7e 8001 0005 064959409438 0004 0005 0003 00 7c 7e",
			},
		}},
		{"2019", [][2]string{
			{
				"7e 0100 4054 01 00000000064959409438 0001 002c0133 4d414b4552000000000000 4d4f44454c00000000000000000000000000000000000000000000000000 414243313233340000000000000000000000000000000000000000000000 02 bea9413132333435 cf 7e",
				"7e 8100 4013 01 00000000064959409438 0000 0001 00 37663862623663366636366531663835 7b 7e",
			},
			{
				"7e 0102 4034 01 00000000064959409438 0002 10 37663862623663366636366531663835 383637313838303330303030303031 76312e3000000000000000000000000000000000 ae 7e",
				"7e 8001 4005 01 00000000064959409438 0001 0002 0102 00 3f 7e",
			},
			{
				"7e 0002 4000 01 00000000064959409438 0003 ba 7e",
				"7e 8001 4005 01 00000000064959409438 0002 0003 0002 00 3c 7e",
			},
			{
				"7e 0200 401f 01 00000000064959409438 0004 00000000 00000003 0157a6a8 06ca5a70 0028 0190 005a 260101120000 300163 9a 7e",
				"7e 8001 4005 01 00000000064959409438 0003 0004 0200 00 3a 7e",
			},
			{
				"7e 0003 4000 01 00000000064959409438 0005 bd 7e",
				"7e 8001 4005 01 00000000064959409438 0004 0005 0003 00 3d 7e",
			},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := startGateway(t, nil)
			v := dial(t, g, testSIM)
			for _, e := range c.exchange {
				v.write(unhex(t, e[0]))
				if got, want := v.readFrame(), unhex(t, e[1]); !bytes.Equal(got, want) {
					t.Fatalf("to %s\ngot  %x\nwant %x", e[0], got, want)
				}
			}
		})
	}
}

func TestRegisterAndAuthenticate(t *testing.T) {
	own := AuthCode("secret", parseSIM(t, testSIM))
	for _, c := range []struct {
		name           string
		open           bool
		secret         string
		registerResult byte
		code           string
		accepted       bool
	}{
		{"open, own code", true, "", 0, AuthCode("", parseSIM(t, testSIM)), true},
		{"open, code of another platform", true, "", 0, "anything", true},
		{"open with a secret, own code", true, "secret", 0, own, true},
		{"open with a secret, wrong code", true, "secret", 0, "anything", false},
		{"closed, own code", false, "secret", 4, own, true},
		{"closed, wrong code", false, "secret", 4, "anything", false},
		{"closed, another vehicle's code", false, "secret", 4, AuthCode("secret", parseSIM(t, "013912345678")), false},
		{"closed, no code", false, "secret", 4, "", false},
	} {
		for edition, sim := range map[string]string{"2013": testSIM, "2019": testLongSIM} {
			t.Run(c.name+", "+edition, func(t *testing.T) {
				g := startGateway(t, func(config *GatewayConfig) { config.OpenRegistration, config.AuthSecret = c.open, c.secret })
				v := dial(t, g, sim)

				registration := "002c0133" + strings.Repeat("00", 32) + "02 4131323334"
				if edition == "2019" {
					registration = "002c0133" + strings.Repeat("00", 71) + "02 4131323334"
				}
				serial := v.send(0x0100, unhex(t, registration))
				id, _, body := v.receive()
				want := []byte{byte(serial >> 8), byte(serial), c.registerResult}
				if c.registerResult == 0 {
					want = append(want, AuthCode(c.secret, parseSIM(t, testSIM))...)
				}
				if id != 0x8100 || !bytes.Equal(body, want) {
					t.Fatalf("got %04x %x, want %x", id, body, want)
				}

				code := []byte(c.code)
				if edition == "2019" {
					code = append(append([]byte{byte(len(code))}, code...), make([]byte, 35)...)
				}
				result := byte(1)
				if c.accepted {
					result = 0
				}
				v.expectReply(v.send(0x0102, code), 0x0102, result)
				if online := g.Online(parseSIM(t, testSIM)); online != c.accepted {
					t.Fatalf("online: %v", online)
				}
			})
		}
	}
}

// A code that was issued stays good when the server restarts, and for a vehicle of 2019 that sends it as of 2013.
func TestCodeAfterRestart(t *testing.T) {
	issued := func() string {
		g := startGateway(t, func(config *GatewayConfig) { config.AuthSecret = "secret" })
		v := dial(t, g, testLongSIM)
		v.send(0x0100, make([]byte, 80))
		_, _, body := v.receive()
		return string(body[3:])
	}()
	g := startGateway(t, func(config *GatewayConfig) { config.AuthSecret = "secret" })
	v := dial(t, g, testLongSIM)
	v.expectReply(v.send(0x0102, []byte(issued)), 0x0102, 0)
}

func TestRegisterMalformed(t *testing.T) {
	g := startGateway(t, nil)
	v := dial(t, g, testSIM)
	v.send(0x0100, []byte{1, 2, 3})
	if id, _, body := v.receive(); id != 0x8100 || body[2] != 0 {
		t.Fatalf("got %04x %x", id, body)
	}
	if n := testutil.ToFloat64(g.metrics.badMessages.WithLabelValues(badBody)); n != 1 {
		t.Fatalf("%v counted", n)
	}
}

func TestRefusalsEndTheConnection(t *testing.T) {
	g := startGateway(t, func(config *GatewayConfig) { config.OpenRegistration, config.AuthSecret = false, "secret" })
	v := dial(t, g, testSIM)
	for range maxRefusals {
		v.send(0x0102, []byte("wrong"))
	}
	v.expectEnd()
	v = dial(t, g, testSIM)
	code := []byte(AuthCode("secret", parseSIM(t, testSIM)))
	for range maxEntries {
		v.send(0x0102, code)
		v.send(0x0003, nil)
	}
	v.expectEnd()
	eventually(t, "the ends are counted", func() bool {
		return testutil.ToFloat64(g.metrics.ends.WithLabelValues(string(endRefused))) == 2
	})
}

func TestMessagesRefused(t *testing.T) {
	g := startGateway(t, nil)
	stranger := dial(t, g, testSIM)
	v := enter(t, g, testSIM)
	other := *v
	other.sim = "013912345678"

	stranger.expectReply(stranger.send(0x0002, nil), 0x0002, 1)
	stranger.expectReply(stranger.send(0x0200, make([]byte, 28)), 0x0200, 1)
	v.expectReply(v.send(0x0900, []byte("unknown")), 0x0900, 3)
	v.expectReply(v.send(0x0200, make([]byte, 27)), 0x0200, 2)
	v.expectReply(v.send(0x0704, unhex(t, "ffff 00 0023")), 0x0704, 2)
	v.serial++
	v.write(v.frame(0x0200, 0x0400, v.serial, make([]byte, 28))) // RSA
	v.expectReply(v.serial, 0x0200, 3)
	other.serial = 100
	other.expectReply(other.send(0x0002, nil), 0x0002, 1)
	v.send(0x0001, []byte{1, 2}) // a reply is never replied to
	v.reply(7, 0x9101, 0)        // nor one to nothing
	v.expectReply(v.send(0x0002, nil), 0x0002, 0)

	for reason, want := range map[string]float64{
		badUnauthenticated: 2, badUnknown: 1, badBody: 3, badEncrypted: 1, badForeignSIM: 1, badUnexpectedReply: 1,
	} {
		if n := testutil.ToFloat64(g.metrics.badMessages.WithLabelValues(reason)); n != want {
			t.Errorf("%s: %v counted, want %v", reason, n, want)
		}
	}
}

func TestLocation(t *testing.T) {
	for edition, sim := range map[string]string{"2013": testSIM, "2019": testLongSIM} {
		t.Run(edition, func(t *testing.T) {
			g := startGateway(t, nil)
			v := enter(t, g, sim)
			at := func(t string) string {
				return "00000000 00000002 00000001 00000002 0000 0000 0000 " + t
			}
			check := func(want string) {
				t.Helper()
				got, ok := g.Vehicle(parseSIM(t, testSIM))
				if !ok || got.Location.Time.String() != want || got.LocatedAt.IsZero() {
					t.Fatalf("got %+v", got)
				}
			}
			v.expectReply(v.send(0x0200, unhex(t, at("260101120000")+"0104000000c8")), 0x0200, 0)
			check("260101120000")
			// What was collected earlier changes nothing, what is newer does, in whatever order it comes.
			v.expectReply(v.send(0x0704, unhex(t, "0001 01 001c"+at("260101110000"))), 0x0704, 0)
			check("260101120000")
			v.expectReply(v.send(0x0704, unhex(t, "0002 00 001c"+at("260101130000")+"001c"+at("260101123000"))), 0x0704, 0)
			check("260101130000")
			// The vehicle's clock was put right.
			v.expectReply(v.send(0x0200, unhex(t, at("250101000000"))), 0x0200, 0)
			check("250101000000")

			all := g.Vehicles()
			if len(all) != 1 || all[0].SIM != parseSIM(t, testSIM) || all[0].Remote != v.conn.LocalAddr().String() ||
				all[0].Location.Latitude != 1 || all[0].SeenAt.Before(all[0].ConnectedAt) {
				t.Fatalf("got %+v", all)
			}
		})
	}
}

func TestSubpackages(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	body := unhex(t, "0001 00 001c 00000000 00000002 00000001 00000002 0000 0000 0000 260101120000")
	v.expectReply(v.sendSplit(0x0704, 3, 3, body[20:]), 0x0704, 0)
	v.expectReply(v.sendSplit(0x0704, 3, 1, body[:10]), 0x0704, 0)
	if held := g.held.Load(); held != int64(len(body)-10) {
		t.Fatalf("%d bytes held", held)
	}
	v.expectReply(v.sendSplit(0x0704, 3, 2, body[10:20]), 0x0704, 0)
	if got, _ := g.Vehicle(parseSIM(t, testSIM)); got.Location.Time.String() != "260101120000" {
		t.Fatalf("got %+v", got)
	}
	v.expectReply(v.sendSplit(0x0704, 65535, 1, body[:10]), 0x0704, 2)
	v.expectReply(v.sendSplit(0x0900, 3, 1, body[:10]), 0x0900, 3) // not kept at all
	v.expectReply(v.sendSplit(0x0704, 3, 1, body[:10]), 0x0704, 0)
	v.conn.Close()
	eventually(t, "nothing is held", func() bool { return g.held.Load() == 0 })
}

// One vehicle fills what it may hold; the gateway's own limit is for many of them.
func TestSubpackagesLimits(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	body := make([]byte, 1019)
	for number := uint16(1); number < 64; number++ {
		v.expectReply(v.sendSplit(0x0704, 64, number, body), 0x0704, 0)
	}
	if held := g.held.Load(); held > 64<<10 {
		t.Fatalf("%d bytes held", held)
	}
	g.held.Add(maxHeld) // the others
	v.expectReply(v.sendSplit(0x0704, 2, 1, body), 0x0704, 2)
	if held := g.held.Add(-maxHeld); held != 0 {
		t.Fatalf("%d bytes held", held)
	}
}

func TestMalformedFrames(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	good := v.frame(0x0002, 0, 9, nil)
	wrong := bytes.Clone(good)
	wrong[len(wrong)-2] ^= 1
	for _, bad := range [][]byte{
		[]byte("GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"),
		wrong,
		good[:len(good)-3],
		{0x7e, 0x7d, 0x7e},
		append([]byte{0x7e}, make([]byte, 10000)...),
		v.reframe(good, func(m []byte) { m[3] = 1 }), // the length lies
	} {
		v.write(bad)
		v.write(good)
		v.expectReply(9, 0x0002, 0)
	}
	for _, reason := range []jt808.FrameError{jt808.FrameChecksum, jt808.FrameLength, jt808.FrameTooLong} {
		if testutil.ToFloat64(g.metrics.badFrames[reason]) == 0 {
			t.Errorf("no %v counted", reason)
		}
	}
	v.write(bytes.Repeat(wrong, maxBadFrames))
	v.expectEnd()
	eventually(t, "the end is counted", func() bool {
		return testutil.ToFloat64(g.metrics.ends.WithLabelValues(string(endGarbage))) == 1
	})
}

func TestTimeouts(t *testing.T) {
	t.Run("authentication", func(t *testing.T) {
		g := startGateway(t, func(config *GatewayConfig) { config.AuthTimeout = 50 * time.Millisecond })
		dial(t, g, testSIM).expectEnd()
		eventually(t, "the end is counted", func() bool {
			return testutil.ToFloat64(g.metrics.ends.WithLabelValues(string(endAuthTimeout))) == 1
		})
	})
	t.Run("idle", func(t *testing.T) {
		g := startGateway(t, func(config *GatewayConfig) { config.IdleTimeout = 50 * time.Millisecond })
		v := enter(t, g, testSIM)
		v.expectEnd()
		eventually(t, "the end is counted", func() bool {
			return testutil.ToFloat64(g.metrics.ends.WithLabelValues(string(endIdle))) == 1
		})
		if g.Online(parseSIM(t, testSIM)) {
			t.Fatal("online")
		}
	})
	t.Run("a vehicle that does not read", func(t *testing.T) {
		g := startGateway(t, func(config *GatewayConfig) { config.WriteTimeout = 5 * time.Millisecond })
		v := enter(t, g, testSIM)
		// With the kernel's usual buffers it takes seconds until they are full.
		if err := g.vehicle(parseSIM(t, testSIM)).socket.(*net.TCPConn).SetWriteBuffer(4096); err != nil {
			t.Fatal(err)
		}
		heartbeats := bytes.Repeat(v.frame(0x0002, 0, 1, nil), 4096)
		v.conn.SetWriteDeadline(time.Now().Add(patience))
		for {
			if _, err := v.conn.Write(heartbeats); err != nil {
				break // the gateway has closed
			}
		}
		eventually(t, "the end is counted", func() bool {
			return testutil.ToFloat64(g.metrics.ends.WithLabelValues(string(endWriteTimeout))) == 1
		})
	})
}

func TestLogoff(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	v.expectReply(v.send(0x0003, nil), 0x0003, 0)
	eventually(t, "the vehicle is offline", func() bool { return !g.Online(parseSIM(t, testSIM)) })
	v.expectReply(v.send(0x0002, nil), 0x0002, 1)
	v.expectReply(v.send(0x0102, []byte("code")), 0x0102, 0)
	if !g.Online(parseSIM(t, testSIM)) {
		t.Fatal("offline")
	}
}

func TestTakeOver(t *testing.T) {
	g := startGateway(t, nil)
	sim := parseSIM(t, testSIM)
	first := enter(t, g, testSIM)
	failed := make(chan error, 1)
	go func() { failed <- g.Command(t.Context(), sim, &jt808.LiveControl{Channel: 1}) }()
	first.receive()

	second := enter(t, g, testLongSIM)
	first.expectEnd()
	if err := <-failed; !errors.Is(err, ErrInterrupted) {
		t.Fatalf("the command on the old connection: %v", err)
	}
	eventually(t, "one connection is left", func() bool { return testutil.ToFloat64(g.metrics.connections) == 1 })
	if got, ok := g.Vehicle(sim); !ok || got.Remote != second.conn.LocalAddr().String() || len(g.Vehicles()) != 1 {
		t.Fatalf("got %+v", got)
	}
	// Authenticating again on the same connection is no take-over.
	second.expectReply(second.send(0x0102, append([]byte{0}, make([]byte, 35)...)), 0x0102, 0)
	second.expectReply(second.send(0x0002, nil), 0x0002, 0)
	if n := testutil.ToFloat64(g.metrics.ends.WithLabelValues(string(endReplaced))); n != 1 {
		t.Fatalf("%v take-overs", n)
	}
}

func TestMaxConnections(t *testing.T) {
	g := startGateway(t, func(config *GatewayConfig) { config.MaxConnections = 1 })
	v := enter(t, g, testSIM)
	dial(t, g, "013912345678").expectEnd()
	v.expectReply(v.send(0x0002, nil), 0x0002, 0)
	if n := testutil.ToFloat64(g.metrics.refused); n != 1 {
		t.Fatalf("%v refused", n)
	}
	v.conn.Close()
	eventually(t, "there is room again", func() bool { return testutil.ToFloat64(g.metrics.connections) == 0 })
	enter(t, g, "013912345678")
}

func TestAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := &Gateway{Config: DefaultGatewayConfig()}
	g.Config.Address = l.Addr().String()
	if err := g.Initialize(); err == nil || !strings.Contains(err.Error(), "gateway.address") {
		t.Fatalf("got %v", err)
	}
}

// The line of AuthCode's comment, run by hand: printf %s 064959409438 | openssl dgst -sha256 -hmac secret.
func TestAuthCode(t *testing.T) {
	if got := AuthCode("secret", parseSIM(t, testLongSIM)); got != "e8435a90fa81f7a9" {
		t.Fatalf("got %s", got)
	}
	if _, err := hex.DecodeString(AuthCode("", parseSIM(t, testSIM))); err != nil {
		t.Fatal(err)
	}
}
