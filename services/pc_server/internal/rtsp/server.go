// Package rtsp serves vehicles' streams to RTSP players: rtsp://host:9521/<kind>/<id>, RTP by TCP or UDP. It is the
// only place that knows gortsplib.
//
// One subscription of the relay feeds all viewers of a stream: relay → stream (RTP payloads, made once) → a queue and
// a goroutine per viewer (numbers, timestamps, skips) → gortsplib's write queue → the socket.
package rtsp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/relay"
	"multi_process_server/pkg/service"
)

// Server is the RTSP server. Fill in the exported fields, then Initialize; Close when done.
type Server struct {
	Config  Config
	Relay   *relay.Client
	Log     zerolog.Logger
	Metrics prometheus.Registerer

	ctx     context.Context // ends what waits for vehicles
	cancel  context.CancelFunc
	metrics *metrics
	pool    *relay.Pool[*stream]
	rtsp    *gortsplib.Server
	address net.Addr

	mutex  sync.Mutex // guards what follows
	places int        // holds that are out
	leases map[leaseKey]*lease

	expiring sync.WaitGroup // timers of leases
}

// Initialize starts to listen. Its error names the key to change.
func (s *Server) Initialize() error {
	s.metrics = newMetrics(s.Metrics)
	s.leases = make(map[leaseKey]*lease)
	s.rtsp = &gortsplib.Server{
		Handler:                  (*handler)(s),
		RTSPAddress:              s.Config.Address,
		UDPRTPAddress:            s.Config.RTPAddress,
		UDPRTCPAddress:           s.Config.RTCPAddress,
		WriteTimeout:             s.Config.WriteTimeout,
		WriteQueueSize:           writeQueue,
		DisableRTCPSenderReports: true, // viewers get their own, see viewer.report
		Listen:                   s.listen,
		ListenPacket:             s.listenPacket,
		// No MulticastIPRange: PAUSE while playing by multicast crashes gortsplib 4.16.2. Clients that ask for it are
		// answered 461.
	}
	s.pool = &relay.Pool[*stream]{New: s.newStream}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.rtsp.Start(); err != nil {
		s.cancel()
		return err
	}
	return nil
}

// Wait returns when the server has ended: nil after Close, else why.
func (s *Server) Wait() error {
	err := s.rtsp.Wait()
	if s.ctx.Err() != nil {
		return nil //nolint:nilerr // it ended because of Close
	}
	return fmt.Errorf("the RTSP server has ended: %w", err)
}

// Close disconnects all viewers and returns when every goroutine has ended.
func (s *Server) Close() {
	s.cancel()
	s.rtsp.Close()
	s.closeLeases()
	s.pool.Close()
}

// Addr is where RTSP listens.
func (s *Server) Addr() net.Addr { return s.address }

func (s *Server) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, service.ListenError("rtsp.address", address, err)
	}
	s.address = l.Addr()
	return &listener{
		Listener: l, log: s.Log, metrics: s.metrics, limit: int64(s.Config.MaxConnections), idle: s.Config.IdleTimeout,
		closed: make(chan struct{}),
	}, nil
}

func (s *Server) listenPacket(network, address string) (net.PacketConn, error) {
	key := "rtsp.rtp_address"
	if address == s.Config.RTCPAddress {
		key = "rtsp.rtcp_address"
	}
	l, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, service.ListenError(key, address, err)
	}
	return l, nil
}

// hold is a share of a stream and one of the max_viewers places. It belongs to a session, or to a lease.
type hold struct {
	stream  *stream
	served  *gortsplib.ServerStream
	release func()
}

// open subscribes to a stream and waits until it can be described.
func (s *Server) open(ctx context.Context, key jt1078.Key) (*hold, error) {
	s.mutex.Lock()
	if s.places >= s.Config.MaxViewers {
		s.mutex.Unlock()
		return nil, errTooMany
	}
	s.places++
	s.mutex.Unlock()
	s.metrics.places.Inc()
	stream, leave := s.pool.Acquire(key)
	h := &hold{stream: stream, release: sync.OnceFunc(func() {
		leave()
		s.mutex.Lock()
		s.places--
		s.mutex.Unlock()
		s.metrics.places.Dec()
	})}

	ctx, cancel := context.WithTimeout(ctx, s.Config.StartTimeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	var err error
	if h.served, err = stream.wait(ctx); err != nil {
		h.release()
		return nil, err
	}
	return h, nil
}

// A lease keeps a stream for a client that has asked what it is and is expected to play it. A client that asks again
// renews it.
type lease struct {
	hold  *hold
	timer *time.Timer
}

type leaseKey struct {
	client string // its address without the port: players may come back by another connection
	stream jt1078.Key
}

func (s *Server) lease(key leaseKey, h *hold) {
	l := &lease{hold: h}
	s.mutex.Lock()
	old := s.leases[key]
	s.leases[key] = l
	s.expiring.Add(1)
	l.timer = time.AfterFunc(s.Config.Lease, func() {
		defer s.expiring.Done()
		s.expire(key, l)
	})
	s.mutex.Unlock()
	if old != nil {
		s.stopTimer(old)
		old.hold.release()
	}
}

// takeLease ends a client's lease, whose hold goes to the caller; nil when there is none.
func (s *Server) takeLease(key leaseKey) *hold {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	l := s.leases[key]
	if l == nil {
		return nil
	}
	delete(s.leases, key)
	s.stopTimer(l)
	return l.hold
}

func (s *Server) expire(key leaseKey, l *lease) {
	s.mutex.Lock()
	current := s.leases[key] == l
	if current {
		delete(s.leases, key)
	}
	s.mutex.Unlock()
	if current {
		l.hold.release()
	}
}

func (s *Server) stopTimer(l *lease) {
	if l.timer.Stop() {
		s.expiring.Done()
	}
}

func (s *Server) closeLeases() {
	s.mutex.Lock()
	leases := s.leases
	s.leases = make(map[leaseKey]*lease)
	s.mutex.Unlock()
	for _, l := range leases {
		s.stopTimer(l)
		l.hold.release()
	}
	s.expiring.Wait()
}
