// Package ingest takes the vehicles' media connections: a goroutine each reads packets (pkg/jt1078), joins them to
// frames and hands those to the hub. Nothing behind it can make it wait.
package ingest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/service"
	"multi_process_server/services/jt1078_server/internal/hub"
)

// acceptPause is for when accepting fails because descriptors have run out.
const acceptPause = 100 * time.Millisecond

// keepAlive finds a vehicle that has vanished from the mobile network sooner than the idle timeout finds one that is
// there and silent.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

// Server listens for vehicles. Fill in the exported fields, call Initialize, and Close at the end.
type Server struct {
	Config Config
	Hub    *hub.Hub
	// Known tells whether a vehicle is known by its signalling; it is asked with `ingest.accept: known` only. Nil
	// knows none.
	Known func(jt1078.SIM) bool
	Log   zerolog.Logger
	// Metrics gets the jt1078_ingest_* metrics; nil means none.
	Metrics prometheus.Registerer

	metrics   *metrics
	channels  *limiter
	listeners []*listener
	ctx       context.Context // done when Close begins
	stop      context.CancelFunc
	running   sync.WaitGroup // an accept loop a listener, and the connections

	mu          sync.Mutex // guards what follows
	connections map[*connection]struct{}
	full        bool // MaxConnections was met; said once
}

// listener is one of the two ports.
type listener struct {
	net.Listener
	kind jt1078.Kind
}

// Initialize listens on both ports and takes vehicles from then on.
func (s *Server) Initialize() error {
	if err := s.Config.Validate(); err != nil {
		return err
	}
	var err error
	if s.metrics, err = newMetrics(s.Metrics); err != nil {
		return err
	}
	s.channels = newLimiter(s.Config.NewChannelsPerSecond, s.Config.NewChannelsBurst)
	s.connections = make(map[*connection]struct{})
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, l := range []struct {
		kind         jt1078.Kind
		key, address string
	}{
		{jt1078.KindLive, "ingest.live_address", s.Config.LiveAddress},
		{jt1078.KindReplay, "ingest.replay_address", s.Config.ReplayAddress},
	} {
		if err := s.listen(l.kind, l.key, l.address); err != nil {
			s.Close()
			return err
		}
	}
	for _, l := range s.listeners {
		s.running.Go(func() { s.accept(l) })
	}
	return nil
}

func (s *Server) listen(kind jt1078.Kind, key, address string) error {
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := config.Listen(s.ctx, "tcp", address)
	if err != nil {
		return service.ListenError(key, address, err)
	}
	s.listeners = append(s.listeners, &listener{Listener: l, kind: kind})
	return nil
}

// Addr is where vehicles dial with streams of that kind, live or replay.
func (s *Server) Addr(kind jt1078.Kind) net.Addr {
	for _, l := range s.listeners {
		if l.kind == kind {
			return l.Addr()
		}
	}
	return nil
}

// Close ends all connections and returns when the last goroutine has ended.
func (s *Server) Close() {
	s.stop()
	for _, l := range s.listeners {
		l.Close()
	}
	s.mu.Lock()
	for c := range s.connections {
		c.end(errStopping)
	}
	s.mu.Unlock()
	s.running.Wait()
}

// accept is the loop of one port.
func (s *Server) accept(l *listener) {
	for {
		conn, err := l.Accept()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return
		case err != nil:
			s.Log.Error().Err(err).Str("kind", l.kind.String()).Msg("cannot accept a vehicle; raise the limit of open files if it has run out")
			select {
			case <-time.After(acceptPause):
			case <-s.ctx.Done():
				return
			}
		default:
			s.metrics.accepted.WithLabelValues(l.kind.String()).Inc()
			s.serve(conn, l.kind)
		}
	}
}

// serve starts a connection's goroutine, unless there are too many.
func (s *Server) serve(conn net.Conn, kind jt1078.Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		conn.Close()
		return
	}
	full := len(s.connections) >= s.Config.MaxConnections
	news := full && !s.full
	s.full = full
	if !full {
		c := newConnection(s, conn, kind)
		s.connections[c] = struct{}{}
		s.running.Go(c.run)
		return
	}
	conn.Close()
	s.metrics.ended.WithLabelValues("too_many_connections").Inc()
	if news {
		s.Log.Warn().Int("connections", s.Config.MaxConnections).Msg("vehicles are turned away: ingest.max_connections is reached; further ones are only counted")
	}
}

func (s *Server) forget(c *connection) {
	s.mu.Lock()
	delete(s.connections, c)
	s.mu.Unlock()
}

// admit says whether a channel that is offered to the hub may begin. It counts as new until the limiter has let it
// through, however often it is offered after that.
func (s *Server) admit(ch *channel, now time.Time) error {
	if s.Config.Accept == AcceptKnown {
		known := s.Known != nil && s.Known(ch.key.ID.SIM)
		if !known && !s.Hub.Wanted(ch.key) {
			return errUnknown
		}
	}
	ch.admitted = ch.admitted || s.channels.allow(now)
	if !ch.admitted {
		return errTooFast
	}
	return nil
}

// Why a connection or a channel ends, beside the hub's reasons and what the network says.
var (
	errStopping   = errors.New("the server is stopping")
	errIdle       = errors.New("no frame came within ingest.idle_timeout")
	errGarbage    = errors.New("too much that is no JT/T 1078 packet (ingest.max_garbage)")
	errChannels   = errors.New("too many channels on one connection (ingest.max_channels)")
	errUnfinished = errors.New("unfinished frames take more than twice ingest.max_frame of memory")
	errTooFast    = errors.New("too many new channels (ingest.new_channels_per_second)")
	errUnknown    = errors.New("the vehicle is not known and nobody waits for it (ingest.accept)")
	errVehicleEnd = errors.New("the vehicle has closed the connection")
)

// label is a reason as a metric's label; there are this many and no more.
func label(reason error) string {
	for _, r := range []struct {
		err   error
		label string
	}{
		{errStopping, "stopping"},
		{hub.ErrStopping, "stopping"},
		{errIdle, "idle"},
		{errGarbage, "garbage"},
		{errChannels, "too_many_channels"},
		{errUnfinished, "unfinished_frames"},
		{errTooFast, "too_fast"},
		{errUnknown, "unknown_vehicle"},
		{errVehicleEnd, "vehicle"},
		{jt1078.ErrAlarmAttachment, "alarm_attachment"},
		{hub.ErrDuplicate, "duplicate"},
		{hub.ErrUnwanted, "unwanted"},
		{hub.ErrTakenOver, "taken_over"},
		{hub.ErrSilent, "silent"},
		{hub.ErrStopped, "stopped"},
		{hub.ErrTooManyStreams, "too_many_streams"},
	} {
		if errors.Is(reason, r.err) {
			return r.label
		}
	}
	return "network"
}
