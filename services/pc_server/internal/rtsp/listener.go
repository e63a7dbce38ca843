package rtsp

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// socketBuffer is what the kernel may hold of a viewer's pictures, in bytes. Left to itself it grows to megabytes,
// half a minute of a substream, and a viewer on a slow line would watch the past.
const socketBuffer = 256 << 10

// acceptRetry is the pause after an accept that failed, for want of file descriptors mostly.
const acceptRetry = 50 * time.Millisecond

// listener bounds the RTSP connections and goes on where gortsplib would end the whole server: after an accept that
// failed.
type listener struct {
	net.Listener
	log     zerolog.Logger
	metrics *metrics
	limit   int64
	idle    time.Duration

	open      atomic.Int64
	closed    chan struct{}
	closeOnce sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			l.log.Warn().Err(err).Msg("cannot accept a connection")
			select {
			case <-time.After(acceptRetry):
				continue
			case <-l.closed:
				return nil, net.ErrClosed
			}
		}
		if l.open.Add(1) > l.limit {
			l.open.Add(-1)
			l.metrics.connectionsRefused.Inc()
			l.log.Warn().Stringer("remote", nc.RemoteAddr()).Msg("connection refused: there are rtsp.max_connections already")
			nc.Close()
			continue
		}
		l.metrics.connections.Inc()
		if tcp, ok := nc.(*net.TCPConn); ok {
			tcp.SetWriteBuffer(socketBuffer) //nolint:errcheck // a bound that is missed costs memory, not function
		}
		return &conn{Conn: nc, listener: l}, nil
	}
}

func (l *listener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// watchLimit bounds what a client may send ahead while its DESCRIBE is waiting, in bytes.
const watchLimit = 4096

// conn is a viewer's RTSP connection. Beyond net.Conn it ends when it idles without playing, and it can tell that the
// client has gone while nobody reads from it.
type conn struct {
	net.Conn
	listener  *listener
	playing   atomic.Bool // no idle timeout: a viewer by UDP need not say anything for a minute
	closeOnce sync.Once

	ahead []byte // read by watch, not yet by Read; only one of the two is active at a time

	writing sync.Mutex // guards held
	held    []byte     // packets of a picture that is not complete
}

// maxHeld bounds the packets of a picture that go out by one system call, in bytes.
const maxHeld = 64 << 10

// Write gathers the RTP packets of a picture, which gortsplib writes one by one: system calls are most of what a viewer
// costs. What is held goes with the packet that ends the picture, or with anything else that is written.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if goesOn(b) && len(c.held)+len(b) <= maxHeld {
		c.held = append(c.held, b...)
		return len(b), nil
	}
	if len(c.held) == 0 {
		return c.Conn.Write(b)
	}
	c.held = append(c.held, b...)
	_, err := c.Conn.Write(c.held)
	c.held = c.held[:0]
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// goesOn reports whether b is an interleaved RTP packet of video (RFC 2326, 10.12) without the marker that ends a
// picture.
func goesOn(b []byte) bool {
	const header = 4
	return len(b) > header+1 && b[0] == '$' && b[1]%2 == 0 && b[header+1] == payloadTypeVideo
}

func (c *conn) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	var deadline time.Time
	if !c.playing.Load() {
		deadline = time.Now().Add(c.listener.idle)
	}
	if err := c.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *conn) Close() error {
	c.closeOnce.Do(func() {
		c.listener.open.Add(-1)
		c.listener.metrics.connections.Dec()
	})
	return c.Conn.Close()
}

// watch calls gone when the client closes the connection. gortsplib does not read while it handles a request, so this
// is how a DESCRIBE that waits for a vehicle learns that nobody waits for it any more. The caller must call stop
// before it returns to gortsplib; stop returns when watch has let go of the connection.
func (c *conn) watch(gone func()) (stop func()) {
	var stopping atomic.Bool
	done := make(chan struct{})
	c.SetReadDeadline(time.Time{}) //nolint:errcheck // a connection that is closed fails the Read below
	go func() {
		defer close(done)
		var buf [512]byte
		for len(c.ahead) < watchLimit {
			n, err := c.Conn.Read(buf[:])
			c.ahead = append(c.ahead, buf[:n]...)
			if err != nil {
				if !stopping.Load() {
					gone()
				}
				return
			}
		}
	}()
	return func() {
		stopping.Store(true)
		c.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // as above
		<-done
	}
}
