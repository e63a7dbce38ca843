package signalling

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
)

// endReason is why a connection ended: a metric's label and a word in the log.
type endReason string

const (
	endClosed       endReason = "closed"        // the vehicle closed it
	endError        endReason = "error"         // the network did
	endIdle         endReason = "idle"          // gateway.idle_timeout
	endAuthTimeout  endReason = "auth_timeout"  // gateway.auth_timeout
	endWriteTimeout endReason = "write_timeout" // gateway.write_timeout
	endReplaced     endReason = "replaced"      // a newer connection of the same SIM
	endGarbage      endReason = "garbage"       // maxBadFrames
	endRefused      endReason = "refused"       // maxEntries, maxRefusals
	endShutdown     endReason = "shutdown"
)

const (
	maxBadFrames = 64 // one after the other
	maxEntries   = 32 // registrations and authentications of one connection
	maxRefusals  = 5  // of them
)

// connection is one vehicle's, or will be when it has authenticated. The goroutine of serve reads and answers; commands
// come from others.
type connection struct {
	gateway *Gateway
	socket  net.Conn
	serial  atomic.Uint32 // the next message's

	// Only serve's goroutine uses these.
	reader       *jt808.Reader
	reassembler  *jt808.Reassembler // made when it is first needed
	authDeadline time.Time
	badFrames    int
	entries      int
	refusals     int

	writing chan struct{} // takes one: whoever writes a message

	mutex         sync.Mutex // guards what follows
	ended         endReason
	authenticated bool
	header        jt808.Header // what a command to this vehicle starts from: edition and SIM
	connectedAt   time.Time
	seenAt        time.Time
	location      jt808.Location
	locatedAt     time.Time
	commands      commands
}

func newConnection(g *Gateway, socket net.Conn) *connection {
	return &connection{
		gateway: g, socket: socket, reader: jt808.NewReader(socket), authDeadline: time.Now().Add(g.Config.AuthTimeout),
		writing: make(chan struct{}, 1),
	}
}

// end closes the socket, which makes serve return. The first reason stays.
func (c *connection) end(reason endReason) {
	c.mutex.Lock()
	if c.ended == "" {
		c.ended = reason
	}
	c.mutex.Unlock()
	c.socket.Close()
}

func (c *connection) serve() {
	defer c.finish()
	for {
		c.awaitMessage()
		var m jt808.Message
		err := c.reader.Read(&m)
		for err != nil {
			if !c.survives(err) {
				return
			}
			err = c.reader.Read(&m) // with the deadline as it is: garbage is no sign of life
		}
		c.badFrames = 0
		c.receive(&m)
	}
}

// awaitMessage sets the time until which the next message must have come.
func (c *connection) awaitMessage() {
	deadline := c.authDeadline
	if _, authenticated := c.identity(); authenticated {
		deadline = time.Now().Add(c.gateway.Config.IdleTimeout)
	}
	_ = c.socket.SetReadDeadline(deadline) // fails on a closed socket alone, and so will the read
}

// survives counts a bad frame, or ends the connection.
func (c *connection) survives(err error) bool {
	var bad jt808.FrameError
	switch {
	case errors.As(err, &bad):
		c.gateway.metrics.badFrames[bad].Inc()
		if c.badFrames++; c.badFrames < maxBadFrames {
			return true
		}
		c.end(endGarbage)
	case errors.Is(err, io.EOF):
		c.end(endClosed)
	case errors.Is(err, os.ErrDeadlineExceeded):
		if _, authenticated := c.identity(); authenticated {
			c.end(endIdle)
		} else {
			c.end(endAuthTimeout)
		}
	default:
		c.end(endError)
	}
	return false
}

// finish gives back all that the connection holds.
func (c *connection) finish() {
	sim, authenticated := c.leave()
	c.dropReassembler()
	c.mutex.Lock()
	reason, since := c.ended, c.connectedAt
	c.mutex.Unlock()
	c.gateway.metrics.ends.WithLabelValues(string(reason)).Inc()
	if authenticated {
		c.log(c.gateway.Log.Info(), sim).Str("reason", string(reason)).
			Dur("connected", time.Since(since).Round(time.Second)).Msg("vehicle offline")
	} else {
		c.log(c.gateway.Log.Debug(), sim).Str("reason", string(reason)).Msg("connection ended")
	}
	c.gateway.forget(c)
}

// identity is the SIM that the connection has authenticated with.
func (c *connection) identity() (sim jt1078.SIM, authenticated bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.header.SIM, c.authenticated
}

// leave makes the connection nobody's: the vehicle is offline and its commands fail.
func (c *connection) leave() (sim jt1078.SIM, authenticated bool) {
	c.mutex.Lock()
	sim, authenticated = c.header.SIM, c.authenticated
	c.authenticated = false
	c.commands.fail(ErrInterrupted) // those that have not gone out yet see that in write
	c.mutex.Unlock()
	if authenticated {
		c.gateway.release(c, sim)
	}
	return sim, authenticated
}

func (c *connection) describe() Vehicle {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return Vehicle{
		SIM: c.header.SIM, Version: c.header.Version, Remote: c.socket.RemoteAddr().String(),
		ConnectedAt: c.connectedAt, SeenAt: c.seenAt, Location: c.location, LocatedAt: c.locatedAt,
	}
}

// log adds who it is about. A logger per connection would cost a buffer per idle vehicle.
func (c *connection) log(e *zerolog.Event, sim jt1078.SIM) *zerolog.Event {
	return e.Stringer("sim", sim).Stringer("remote", c.socket.RemoteAddr())
}

// writeBuffers are for one message each.
var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 128); return &b }}

// write sends one message, whole or not at all as far as the vehicle can tell. A socket that does not take it within
// gateway.write_timeout is closed, and the error is ErrOffline; it is ctx's error when its end comes first, and otherwise
// that of a body that cannot be written.
func (c *connection) write(ctx context.Context, h jt808.Header, body jt808.Body) error {
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.writing }()
	return c.writeNow(ctx, h, body)
}

// writeNow is write for whoever holds c.writing.
func (c *connection) writeNow(ctx context.Context, h jt808.Header, body jt808.Body) error {
	buf := writeBuffers.Get().(*[]byte)
	defer writeBuffers.Put(buf)
	frame, err := jt808.Append((*buf)[:0], h, body)
	if err != nil {
		return err
	}
	*buf = frame
	deadline := time.Now().Add(c.gateway.Config.WriteTimeout)
	end, limited := ctx.Deadline()
	if limited = limited && end.Before(deadline); limited {
		deadline = end
	}
	_ = c.socket.SetWriteDeadline(deadline) // as in awaitMessage
	written, err := c.socket.Write(frame)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		c.end(endError)
	case limited && written == 0: // the next message still begins where a message may
		return context.DeadlineExceeded
	default:
		c.end(endWriteTimeout)
	}
	return fmt.Errorf("%w: %w", ErrOffline, err)
}

func (c *connection) nextSerial() uint16 { return uint16(c.serial.Add(1) - 1) }
