package httpd

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// socketBuffer is what the kernel may hold of a viewer's pictures, in bytes. Left to itself it grows to megabytes,
// half a minute of a substream, and a viewer on a slow line would watch the past.
const socketBuffer = 256 << 10

// listener bounds the connections, and what the kernel holds for each.
type listener struct {
	net.Listener
	log     zerolog.Logger
	limit   int64
	refused prometheus.Counter

	open atomic.Int64
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err // net/http goes on where it makes sense
		}
		if l.open.Add(1) > l.limit {
			l.open.Add(-1)
			l.refused.Inc()
			l.log.Warn().Stringer("remote", nc.RemoteAddr()).Msg("connection refused: there are http.max_connections already")
			nc.Close()
			continue
		}
		if tcp, ok := nc.(*net.TCPConn); ok {
			tcp.SetWriteBuffer(socketBuffer) //nolint:errcheck // a bound that is missed costs memory, not function
		}
		return &conn{Conn: nc, listener: l}, nil
	}
}

// conn is counted until it is closed.
type conn struct {
	net.Conn
	listener  *listener
	closeOnce sync.Once
}

func (c *conn) Close() error {
	c.closeOnce.Do(func() { c.listener.open.Add(-1) })
	return c.Conn.Close()
}
