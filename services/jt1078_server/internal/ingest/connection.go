package ingest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/jt1078_server/internal/hub"
)

const (
	// countEvery is how often a connection adds to the metrics.
	countEvery = time.Second
	// offerAgain is how often a channel that was not taken, on a connection that lives by others, is tried again.
	offerAgain = time.Second
)

// connection is one vehicle's connection. What has no other note belongs to its goroutine.
type connection struct {
	server *Server
	conn   net.Conn
	kind   jt1078.Kind
	log    zerolog.Logger
	since  time.Time

	reader   *jt1078.Reader
	channels map[jt1078.StreamID]*channel
	last     *channel // that of the last packet
	held     int      // the sum of what the channels' assemblers hold, in bytes

	// packets and skipped are the reader's counts when the last packet had come, see Read.
	packets, skipped uint64
	counted          jt1078.ReaderStats
	countedAt        time.Time
	deadlineAt       time.Time // when the deadline was moved

	// active counts the channels that the hub has taken; it is used from anywhere, as is reason, why the connection
	// is ended from here; the first one holds.
	active atomic.Int32
	reason atomic.Pointer[error]
}

// channel is one stream on a connection.
type channel struct {
	key       jt1078.Key
	assembler *jt1078.Assembler
	held      int            // of that, as it is in the connection's sum
	publisher *hub.Publisher // nil: not taken by the hub, or taken from us
	offered   time.Time      // when the hub was last asked to take it
	admitted  bool           // by the server's limiter, once and for all
	counted   jt1078.AssemblerStats
}

func newConnection(s *Server, conn net.Conn, kind jt1078.Kind) *connection {
	c := &connection{
		server:   s,
		conn:     conn,
		kind:     kind,
		log:      s.Log.With().Str("kind", kind.String()).Stringer("remote", conn.RemoteAddr()).Logger(),
		since:    time.Now(),
		channels: make(map[jt1078.StreamID]*channel, 1),
	}
	c.reader = jt1078.NewReader(c, jt1078.ReaderOptions{BufferSize: s.Config.ReadBuffer})
	return c
}

// run is the connection's goroutine.
func (c *connection) run() {
	open := c.server.metrics.open.WithLabelValues(c.kind.String())
	open.Inc()
	c.log.Debug().Msg("a vehicle has dialled")
	err := c.receive()
	if reason := c.reason.Load(); reason != nil {
		err = *reason
	}
	c.conn.Close()
	for _, ch := range c.channels {
		if ch.publisher != nil {
			ch.publisher.Close(err)
		}
	}
	c.count(time.Now())
	c.server.metrics.ended.WithLabelValues(label(err)).Inc()
	open.Dec()
	c.logEnd(err)
	c.server.forget(c)
}

// end closes the connection for a reason. It may be called from anywhere and does not block.
func (c *connection) end(reason error) {
	c.reason.CompareAndSwap(nil, &reason)
	c.conn.Close()
}

// Read is the reader's source: the socket, watched for those who send nothing but garbage.
func (c *connection) Read(b []byte) (int, error) {
	stats := c.reader.Stats()
	if stats.Packets != c.packets {
		c.packets, c.skipped = stats.Packets, stats.SkippedBytes
	} else if stats.SkippedBytes > c.skipped+uint64(c.server.Config.MaxGarbage) {
		return 0, errGarbage
	}
	n, err := c.conn.Read(b)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		return n, io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errIdle
	}
	return n, err
}

// receive takes packets until the connection ends.
func (c *connection) receive() error {
	c.moveDeadline(c.since)
	var p jt1078.Packet
	for {
		if err := c.reader.Read(&p); err != nil {
			if errors.Is(err, io.EOF) {
				return errVehicleEnd
			}
			return err
		}
		ch := c.last
		if ch == nil || ch.key.ID != p.ID() {
			var err error
			if ch, err = c.channel(p.ID()); err != nil {
				return err
			}
			c.last = ch
		}
		if ch.publisher == nil {
			if err := c.offer(ch); err != nil {
				return err
			}
			if ch.publisher == nil {
				continue
			}
		}
		if f, ok := ch.assembler.Push(&p); ok {
			c.give(ch, &f)
		}
		if c.hold(ch) > 2*c.server.Config.MaxFrame {
			if err := c.trim(); err != nil {
				return err
			}
		}
	}
}

// hold brings the sum of what is held up to date after a packet of that channel.
func (c *connection) hold(ch *channel) int {
	held := ch.assembler.Held()
	c.held += held - ch.held
	ch.held = held
	return c.held
}

// trim lets go of everything but unfinished frames. If those alone are too much, the connection is not worth its memory:
// a vehicle sends its frames one after another, or a few channels' in turn.
func (c *connection) trim() error {
	for _, ch := range c.channels {
		ch.assembler.Trim()
		c.hold(ch)
	}
	if c.held > 2*c.server.Config.MaxFrame {
		return errUnfinished
	}
	return nil
}

// channel is the connection's channel of that id, a new one if need be.
func (c *connection) channel(id jt1078.StreamID) (*channel, error) {
	ch := c.channels[id]
	if ch == nil {
		if len(c.channels) >= c.server.Config.MaxChannels {
			return nil, errChannels
		}
		ch = &channel{
			key:       jt1078.Key{Kind: c.kind, ID: id},
			assembler: jt1078.NewAssembler(jt1078.AssemblerOptions{MaxFrame: c.server.Config.MaxFrame}),
		}
		c.channels[id] = ch
	}
	return ch, nil
}

// offer asks the hub to take a channel. A channel that is refused is a reason to end the connection, unless it lives by
// others; then the channel's packets go nowhere until it is asked again.
func (c *connection) offer(ch *channel) error {
	now := time.Now()
	if !ch.offered.IsZero() && now.Sub(ch.offered) < offerAgain {
		return nil
	}
	first := ch.offered.IsZero()
	ch.offered = now
	err := c.server.admit(ch, now)
	if err == nil {
		c.active.Add(1) // before it is taken: from then on End may count it off
		ch.publisher, err = c.server.Hub.Publish(ch.key, hub.Source{Remote: c.conn.RemoteAddr().String(), End: c.release})
		if err == nil {
			ch.assembler.Reset()
			return nil
		}
		c.active.Add(-1)
	}
	c.server.metrics.refused.WithLabelValues(label(err)).Inc()
	if first {
		c.log.Warn().Err(err).Stringer("sim", ch.key.ID.SIM).Uint8("channel", ch.key.ID.Channel).Msg("a channel is refused")
	}
	if c.active.Load() == 0 {
		return err
	}
	return nil
}

// release is the hub's word that it has ended one of the connection's publishers. The last one takes the connection
// with it: that is how a vehicle is made to stop.
func (c *connection) release(reason error) {
	if c.active.Add(-1) == 0 {
		c.end(reason)
	}
}

// give hands a frame to the hub and, now and then, does what is due.
func (c *connection) give(ch *channel, f *jt1078.Frame) {
	now := time.Now()
	if ch.publisher.WriteFrame(f, now) != nil {
		ch.publisher = nil // release is told why
		return
	}
	if now.Sub(c.countedAt) >= countEvery {
		c.count(now)
	}
	if now.Sub(c.deadlineAt) >= c.server.Config.IdleTimeout/4 {
		c.moveDeadline(now)
	}
}

// moveDeadline gives the vehicle the whole idle timeout again. It costs more than a frame does, so it is not done for
// each; the timeout may come a quarter early.
func (c *connection) moveDeadline(now time.Time) {
	c.deadlineAt = now
	_ = c.conn.SetReadDeadline(now.Add(c.server.Config.IdleTimeout)) // fails on a closed connection, as the next read does
}

// count adds to the metrics what has come since it was last called.
func (c *connection) count(now time.Time) {
	c.countedAt = now
	c.server.metrics.countReader(c.reader.Stats(), &c.counted)
	for _, ch := range c.channels {
		c.server.metrics.countAssembler(ch.assembler.Stats(), &ch.counted)
	}
}

// logEnd is the connection's one line, with everything that was wrong with it.
func (c *connection) logEnd(reason error) {
	event := c.log.Info()
	switch {
	case errors.Is(reason, errGarbage), errors.Is(reason, errChannels), errors.Is(reason, errUnfinished), errors.Is(reason, jt1078.ErrAlarmAttachment):
		event = c.log.Warn()
	case c.counted.Packets == 0:
		event = c.log.Debug() // a port scanner, a health check
	}
	var total jt1078.AssemblerStats
	for id, ch := range c.channels {
		if len(c.channels) == 1 {
			event.Stringer("sim", id.SIM).Uint8("channel", id.Channel)
		}
		total.Frames += ch.counted.Frames
		total.LostPackets += ch.counted.LostPackets
		total.DamagedFrames += ch.counted.DamagedFrames
	}
	event.AnErr("reason", reason).Dur("lasted", time.Since(c.since)).Int("channels", len(c.channels)).
		Uint64("packets", c.counted.Packets).Uint64("bytes", c.counted.Bytes).Uint64("frames", total.Frames).
		Uint64("skipped_bytes", c.counted.SkippedBytes).Uint64("resyncs", c.counted.Resyncs).
		Uint64("lost_packets", total.LostPackets).Uint64("damaged_frames", total.DamagedFrames).
		Msg("a media connection has ended")
}
