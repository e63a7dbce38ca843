package signalling

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"multi_process_server/pkg/jt808"
	"multi_process_server/services/jt1078_server/internal/hub"
)

var testCommand = &jt808.LiveStart{Host: "203.0.113.7", TCPPort: 9501, Channel: 3, Stream: jt808.StreamSub}

const testCommandHex = "0b 3230332e302e3131332e37 251d 0000 03 00 01"

// issue sends a command in the background.
func issue(t *testing.T, g *Gateway, body jt808.Body) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- g.Command(t.Context(), parseSIM(t, testSIM), body) }()
	return done
}

func result(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the command does not end")
		return nil
	}
}

// expectCommand returns the command's serial number.
func (v *testVehicle) expectCommand() uint16 {
	v.t.Helper()
	id, serial, body := v.receive()
	if id != 0x9101 || !bytes.Equal(body, unhex(v.t, testCommandHex)) {
		v.t.Fatalf("got %04x %x", id, body)
	}
	return serial
}

func TestCommand(t *testing.T) {
	for edition, sim := range map[string]string{"2013": testSIM, "2019": testLongSIM} {
		t.Run(edition, func(t *testing.T) {
			g := startGateway(t, nil)
			v := enter(t, g, sim)
			for range 2 {
				done := issue(t, g, testCommand)
				v.reply(v.expectCommand(), 0x9101, 0)
				if err := result(t, done); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// interrupted wants the end of a command that has gone out: the vehicle may obey it, so the hub must stop it later.
func interrupted(t *testing.T, done <-chan error) {
	t.Helper()
	err := result(t, done)
	if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, hub.ErrUnreachable) {
		t.Fatal(err)
	}
}

func TestCommandOffline(t *testing.T) {
	g := startGateway(t, nil)
	if err := result(t, issue(t, g, testCommand)); !errors.Is(err, ErrOffline) || !errors.Is(err, hub.ErrUnreachable) {
		t.Fatal(err)
	}
	v := enter(t, g, testSIM)
	done := issue(t, g, testCommand)
	v.expectCommand()
	v.conn.Close()
	interrupted(t, done)
	eventually(t, "the vehicle is offline", func() bool { return !g.Online(parseSIM(t, testSIM)) })
}

func TestCommandRejected(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	done := issue(t, g, testCommand)
	v.reply(v.expectCommand(), 0x9101, 3)
	err := result(t, done)
	var rejected *RejectedError
	if !errors.As(err, &rejected) || rejected.Result != jt808.ResultUnsupported || !errors.Is(err, hub.ErrRefused) {
		t.Fatal(err)
	}
	if want := "the vehicle refused 0x9101: not supported"; err.Error() != want {
		t.Fatalf("got %q, want %q", err, want)
	}
}

func TestCommandNeverAnswered(t *testing.T) {
	g := startGateway(t, func(config *GatewayConfig) { config.ReplyTimeout, config.CommandAttempts = 20*time.Millisecond, 3 })
	v := enter(t, g, testSIM)
	done := issue(t, g, testCommand)
	first := v.readFrame()
	for range 2 {
		if again := v.readFrame(); !bytes.Equal(again, first) {
			t.Fatalf("sent %x, then %x", first, again)
		}
	}
	// It may obey all the same, so the hub shall take it as its own time-out.
	if err := result(t, done); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(g.metrics.retries); n != 2 {
		t.Fatalf("%v retries", n)
	}
	// The connection is none the worse for it.
	v.expectReply(v.send(0x0002, nil), 0x0002, 0)
}

func TestCommandAnsweredLate(t *testing.T) {
	g := startGateway(t, func(config *GatewayConfig) { config.ReplyTimeout, config.CommandAttempts = 20*time.Millisecond, 100 })
	v := enter(t, g, testSIM)
	done := issue(t, g, testCommand)
	serial := v.expectCommand()
	v.expectCommand() // the second attempt
	v.reply(serial, 0x9101, 0)
	if err := result(t, done); err != nil {
		t.Fatal(err)
	}
}

func TestCommandCancelled(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Command(ctx, parseSIM(t, testSIM), testCommand) }()
	serial := v.expectCommand()
	cancel()
	if err := result(t, done); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	// The late reply to it, and its repetition, are not taken for the reply to the next one.
	done2 := issue(t, g, testCommand)
	next := v.expectCommand()
	v.reply(serial, 0x9101, 1)
	v.reply(serial, 0x9101, 1)
	v.reply(next, 0x9101, 0)
	if err := result(t, done2); err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(g.metrics.badMessages.WithLabelValues(badUnexpectedReply)); n != 2 {
		t.Fatalf("%v unexpected replies", n)
	}
}

// A reply with a serial number of the vehicle's own invention is for the only command there is.
func TestCommandWrongSerial(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	done := issue(t, g, testCommand)
	serial := v.expectCommand()
	v.reply(serial+100, 0x0000, 0)
	if err := result(t, done); err != nil {
		t.Fatal(err)
	}

	// With two it is nobody's.
	one := issue(t, g, testCommand)
	oneSerial := v.expectCommand()
	two := issue(t, g, testCommand)
	twoSerial := v.expectCommand()
	v.reply(oneSerial+100, 0x9101, 0)
	v.reply(twoSerial, 0x9101, 0)
	if err := result(t, two); err != nil {
		t.Fatal(err)
	}
	v.reply(oneSerial, 0x9101, 1)
	if err := result(t, one); !errors.Is(err, hub.ErrRefused) {
		t.Fatal(err)
	}
}

func TestCommandDoesNotFit(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	if err := result(t, issue(t, g, &jt808.LiveStart{Host: string(make([]byte, 256))})); !errors.Is(err, jt808.ErrField) {
		t.Fatal(err)
	}
	v.expectReply(v.send(0x0002, nil), 0x0002, 0)
}

func TestCommandAfterLogoff(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	done := issue(t, g, testCommand)
	v.expectCommand()
	v.expectReply(v.send(0x0003, nil), 0x0003, 0)
	interrupted(t, done)
}

func TestCommandAtShutdown(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	done := issue(t, g, testCommand)
	v.expectCommand()
	g.mutex.RLock()
	for c := range g.connections {
		c.end(endShutdown)
	}
	g.mutex.RUnlock()
	interrupted(t, done)
}

// fillSocket leaves no room for what is written to a vehicle that does not read.
func fillSocket(t *testing.T, socket net.Conn) {
	t.Helper()
	junk := make([]byte, 64<<10)
	for {
		_ = socket.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := socket.Write(junk); n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// A vehicle that does not read holds a command up until its context ends, not until gateway.write_timeout.
func TestCommandBlocked(t *testing.T) {
	g := startGateway(t, func(config *GatewayConfig) { config.WriteTimeout = time.Hour })
	enter(t, g, testSIM)
	c := g.vehicle(parseSIM(t, testSIM))
	fillSocket(t, c.socket)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	done := make(chan error, 2)
	for range 2 { // one writes, the other waits for its turn
		go func() { done <- g.Command(ctx, parseSIM(t, testSIM), testCommand) }()
	}
	for range 2 {
		if err := result(t, done); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if !g.Online(parseSIM(t, testSIM)) { // a viewer's impatience is not the vehicle's end
		t.Fatal("the vehicle was disconnected")
	}
}

// With nothing sent, a vehicle that takes nothing is offline; after a first attempt it may have been told.
func TestCommandWriteFails(t *testing.T) {
	g := startGateway(t, func(config *GatewayConfig) { config.ReplyTimeout = 200 * time.Millisecond })
	takeNothing := func() {
		if err := g.vehicle(parseSIM(t, testSIM)).socket.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	enter(t, g, testSIM)
	takeNothing()
	if err := result(t, issue(t, g, testCommand)); !errors.Is(err, ErrOffline) || errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}

	v := enter(t, g, testSIM)
	done := issue(t, g, testCommand)
	v.expectCommand()
	takeNothing()
	interrupted(t, done)
}
