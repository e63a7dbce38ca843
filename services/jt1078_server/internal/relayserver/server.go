// Package relayserver serves the relay (proto/relay/v1, port 9511): it sends the hub's streams to pc_server and
// web_server. A subscription is one gRPC call and one goroutine, which takes an event from its hub subscriber and sends
// it; a consumer that is too slow stops the sending by flow control, and the hub's bounded queue drops.
package relayserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/service"
	relayv1 "multi_process_server/proto/relay/v1"
)

const (
	// A consumer is gone when it has been silent for pingAfter and does not answer a ping within pingTimeout; what is
	// sent to it must be acknowledged within pingTimeout too.
	pingAfter   = 5 * time.Second
	pingTimeout = 3 * time.Second
	// minPing is how often a consumer may ping us before it is taken for a broken one.
	minPing = 5 * time.Second
	// handshakeTimeout is for a connection's HTTP/2 preface.
	handshakeTimeout = 5 * time.Second

	// writeBuffer lets a key frame, or the frames of several streams that have piled up, leave with one system call.
	// gRPC holds it only while there is something to write.
	writeBuffer = 64 << 10
	// readBuffer: consumers send requests and window updates, a few bytes each.
	readBuffer = 4 << 10
	// window is what a consumer may send before we read it, on a stream and in all: one short request a stream.
	window = 64<<10 - 1
	// maxRequest limits a SubscribeRequest.
	maxRequest = 4 << 10
)

// Subscriber is what the hub gives for a subscription.
type Subscriber interface {
	// Next waits for the next event, a relayv1.Event; the caller frees it. An error is the subscription's last word:
	// *hub.StartError, hub.ErrStopping, or ctx's.
	Next(ctx context.Context) (mem.Buffer, error)
	Close()
}

// Server is the relay's server. Fill in the exported fields, call Initialize, and Close at the end.
type Server struct {
	Config Config
	// Subscribe opens a subscription for a consumer that calls itself name. Its errors are those of Subscriber.Next, or
	// hub.ErrTooManyStreams and hub.ErrTooManySubscribers.
	Subscribe func(key jt1078.Key, name string) (Subscriber, error)
	Log       zerolog.Logger
	// Metrics gets the jt1078_relay_* metrics; nil means none.
	Metrics prometheus.Registerer

	metrics  *metrics
	listener net.Listener
	server   *grpc.Server
	stopping context.Context // done when Close begins; every subscription ends with it
	stop     context.CancelFunc
	served   chan struct{} // closed when the server's loop has ended
	failed   atomic.Pointer[error]
	open     atomic.Int64 // subscriptions
}

// Initialize listens and serves.
func (s *Server) Initialize() error {
	if err := s.Config.Validate(); err != nil {
		return err
	}
	m, err := newMetrics(s.Metrics, func() float64 { return float64(s.open.Load()) })
	if err != nil {
		return fmt.Errorf("relay server's metrics: %w", err)
	}
	s.metrics = m
	if s.listener, err = service.Listen("relay.address", s.Config.Address); err != nil {
		return err
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.server = grpc.NewServer(
		grpc.ForceServerCodecV2(relayv1.GRPCCodec{}),
		grpc.MaxRecvMsgSize(maxRequest),
		// A consumer beyond this limit would wait unheard for a call to end. Ours is met first, and says no.
		grpc.MaxConcurrentStreams(uint32(s.Config.MaxSubscriptions)+100),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
		grpc.WriteBufferSize(writeBuffer),
		grpc.ReadBufferSize(readBuffer),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	relayv1.RegisterRelayServer(s.server, &relayService{server: s})
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.server.Serve(s.listener); err != nil {
			s.failed.Store(&err)
			s.Log.Error().Err(err).Msg("relay has stopped; restart the service")
		}
	}()
	return nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Ready is nil while consumers can subscribe.
func (s *Server) Ready() error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("the relay on %s has failed: %w", s.Config.Address, *err)
	}
	if s.stopping.Err() != nil {
		return errors.New("the relay is stopping")
	}
	return nil
}

// Close ends the subscriptions, telling consumers that the node is stopping, and returns when the last has ended.
// Those whose consumer does not take even that are cut off after Config.StopTimeout.
func (s *Server) Close() {
	s.stop()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.server.GracefulStop()
	}()
	select {
	case <-stopped:
	case <-time.After(s.Config.StopTimeout):
		s.server.Stop()
		<-stopped
	}
	<-s.served
}
