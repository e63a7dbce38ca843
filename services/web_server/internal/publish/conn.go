package publish

import (
	"net"
	"sync"
	"time"
)

// conn is the TCP connection below the RTMP client.
//
// The client's Read answers pings, so it writes, and what it writes with is not made for two goroutines. conn makes a
// monitor of them: whoever uses the client holds the lock, and waiting for input gives it up meanwhile.
//
// It also joins the messages of one turn into one write.
type conn struct {
	net.Conn
	timeout time.Duration

	sync.Mutex
	// dialing: the server answers our few words in several small writes. Where it leaves Nagle's algorithm on, each
	// waits until we have acknowledged the one before, and by itself TCP takes 40 ms for that.
	dialing bool
	corked  bool
	buffer  []byte
}

// maxJoined bounds what is kept in memory for one write.
const maxJoined = 256 << 10

// Read is called with the lock held.
func (c *conn) Read(p []byte) (int, error) {
	if c.dialing {
		quickAck(c.Conn)
	}
	c.Unlock()
	defer c.Lock()
	return c.Conn.Read(p)
}

// Write is called with the lock held.
func (c *conn) Write(p []byte) (int, error) {
	if c.corked && len(c.buffer)+len(p) <= maxJoined {
		c.buffer = append(c.buffer, p...)
		return len(p), nil
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.write(p)
}

// flush is called with the lock held.
func (c *conn) flush() error {
	if len(c.buffer) == 0 {
		return nil
	}
	_, err := c.write(c.buffer)
	c.buffer = c.buffer[:0]
	return err
}

func (c *conn) write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
