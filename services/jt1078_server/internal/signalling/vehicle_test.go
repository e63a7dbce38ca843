package signalling

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// testVehicle speaks JT/T 808 in bytes of its own making: nothing of pkg/jt808 is in it.
type testVehicle struct {
	t       *testing.T
	conn    net.Conn
	sim     string // 12 digits, or 20 for an edition 2019 vehicle
	serial  uint16
	pending []byte
}

func dial(t *testing.T, g *Gateway, sim string) *testVehicle {
	t.Helper()
	conn, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &testVehicle{t: t, conn: conn, sim: sim}
}

// enter dials and authenticates.
func enter(t *testing.T, g *Gateway, sim string) *testVehicle {
	t.Helper()
	v := dial(t, g, sim)
	code := []byte(AuthCode(g.Config.AuthSecret, parseSIM(t, sim)))
	if len(sim) == 20 {
		code = append(append([]byte{byte(len(code))}, code...), make([]byte, 35)...)
	}
	v.expectReply(v.send(0x0102, code), 0x0102, 0)
	return v
}

// frame is the bytes of one message: the attributes' upper bits are OR-ed with attributes.
func (v *testVehicle) frame(id, attributes uint16, serial uint16, body []byte) []byte {
	attributes |= uint16(len(body))
	if len(v.sim) == 20 {
		attributes |= 0x4000
	}
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, attributes)
	if len(v.sim) == 20 {
		b = append(b, 1)
	}
	b = append(b, unhex(v.t, v.sim)...)
	b = binary.BigEndian.AppendUint16(b, serial)
	b = append(b, body...)
	sum := byte(0)
	for _, x := range b {
		sum ^= x
	}
	b = append(b, sum)
	b = bytes.ReplaceAll(b, []byte{0x7d}, []byte{0x7d, 0x01})
	b = bytes.ReplaceAll(b, []byte{0x7e}, []byte{0x7d, 0x02})
	return append(append([]byte{0x7e}, b...), 0x7e)
}

func (v *testVehicle) write(b []byte) {
	v.t.Helper()
	if _, err := v.conn.Write(b); err != nil {
		v.t.Fatal(err)
	}
}

// send returns the serial number that it used.
func (v *testVehicle) send(id uint16, body []byte) uint16 {
	v.t.Helper()
	v.serial++
	v.write(v.frame(id, 0, v.serial, body))
	return v.serial
}

// sendSplit sends one sub-package.
func (v *testVehicle) sendSplit(id, total, number uint16, body []byte) uint16 {
	v.t.Helper()
	v.serial++
	split := binary.BigEndian.AppendUint16(nil, total)
	split = binary.BigEndian.AppendUint16(split, number)
	b := v.frame(id, 0x2000, v.serial, append(split, body...))
	// The length that frame counted holds the split fields, which belong to the header.
	v.write(v.reframe(b, func(m []byte) { binary.BigEndian.PutUint16(m[2:], binary.BigEndian.Uint16(m[2:])-4) }))
	return v.serial
}

// reframe changes the unescaped bytes of a frame and makes its checksum right again.
func (v *testVehicle) reframe(frame []byte, change func([]byte)) []byte {
	m := unescaped(frame[1 : len(frame)-1])
	m = m[:len(m)-1]
	change(m)
	sum := byte(0)
	for _, x := range m {
		sum ^= x
	}
	m = append(m, sum)
	m = bytes.ReplaceAll(m, []byte{0x7d}, []byte{0x7d, 0x01})
	m = bytes.ReplaceAll(m, []byte{0x7e}, []byte{0x7d, 0x02})
	return append(append([]byte{0x7e}, m...), 0x7e)
}

func unescaped(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte{0x7d, 0x02}, []byte{0x7e})
	return bytes.ReplaceAll(b, []byte{0x7d, 0x01}, []byte{0x7d})
}

// readFrame is the next frame with its flags.
func (v *testVehicle) readFrame() []byte {
	v.t.Helper()
	v.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if i := bytes.IndexByte(v.pending, 0x7e); i >= 0 {
			if n := bytes.IndexByte(v.pending[i+1:], 0x7e); n >= 0 {
				frame := v.pending[i : i+n+2]
				v.pending = v.pending[i+n+2:]
				return frame
			}
		}
		buf := make([]byte, 4096)
		n, err := v.conn.Read(buf)
		v.pending = append(v.pending, buf[:n]...)
		if err != nil {
			v.t.Fatalf("waiting for a message: %v", err)
		}
	}
}

// receive is the next message, which must be for this vehicle and in its edition.
func (v *testVehicle) receive() (id, serial uint16, body []byte) {
	v.t.Helper()
	m := unescaped(v.readFrame())
	m = m[1 : len(m)-1]
	sum := byte(0)
	for _, x := range m {
		sum ^= x
	}
	if sum != 0 {
		v.t.Fatalf("bad checksum: %x", m)
	}
	attributes := binary.BigEndian.Uint16(m[2:])
	header := 10
	sim := hex.EncodeToString(m[4:10])
	if attributes&0x4000 != 0 {
		header = 15
		sim = hex.EncodeToString(m[5:15])
	}
	if sim != v.sim {
		v.t.Fatalf("message for %s came to %s: %x", sim, v.sim, m)
	}
	body = m[header+2 : len(m)-1]
	if len(body) != int(attributes&0x3ff) {
		v.t.Fatalf("length %d for %d bytes: %x", attributes&0x3ff, len(body), m)
	}
	return binary.BigEndian.Uint16(m), binary.BigEndian.Uint16(m[header:]), body
}

// expectReply waits for the general reply to the message with that serial number and id.
func (v *testVehicle) expectReply(serial, to uint16, result byte) {
	v.t.Helper()
	id, _, body := v.receive()
	want := binary.BigEndian.AppendUint16(nil, serial)
	want = binary.BigEndian.AppendUint16(want, to)
	want = append(want, result)
	if id != 0x8001 || !bytes.Equal(body, want) {
		v.t.Fatalf("got %04x %x, want 8001 %x", id, body, want)
	}
}

// reply sends a general reply.
func (v *testVehicle) reply(serial, to uint16, result byte) {
	v.t.Helper()
	body := binary.BigEndian.AppendUint16(nil, serial)
	body = binary.BigEndian.AppendUint16(body, to)
	v.send(0x0001, append(body, result))
}

// expectEnd waits until the gateway has closed the connection.
func (v *testVehicle) expectEnd() {
	v.t.Helper()
	v.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		switch _, err := v.conn.Read(make([]byte, 4096)); {
		case err == nil:
		case errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset"):
			return
		default:
			v.t.Fatalf("waiting for the end: %v", err)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseSIM(t testing.TB, s string) jt1078.SIM {
	t.Helper()
	sim, err := jt1078.ParseSIM(s)
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// startGateway listens on a free port of the loopback.
func startGateway(t *testing.T, change func(*GatewayConfig)) *Gateway {
	t.Helper()
	config := DefaultGatewayConfig()
	config.Address = "127.0.0.1:0"
	config.ReplyTimeout = patience
	if change != nil {
		change(&config)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	g := &Gateway{Config: config, Log: zerolog.New(zerolog.NewTestWriter(t)), Metrics: prometheus.NewRegistry()}
	if err := g.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// eventually waits for what becomes true without a sign.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("does not come true: %s", what)
		}
	}
}
