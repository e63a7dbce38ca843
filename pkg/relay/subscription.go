package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	relayv1 "multi_process_server/proto/relay/v1"
)

const (
	// Pauses between two tries grow from the first to the last of these. A stream that has lasted begins anew.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
	lasted     = time.Second
	// tryTimeout is how long one try waits for the node's connection. The connection is made in the background, so a
	// try that gives up loses nothing; the next one asks the Resolver again.
	tryTimeout = time.Second
	// resolveTimeout is for the Resolver's answer.
	resolveTimeout = 2 * time.Second
	// refusedPause is for a node that says no for a reason that time alone may not mend.
	refusedPause = 5 * time.Second
	// maxRetryAfter limits what a node may ask us to wait.
	maxRetryAfter = time.Minute
)

// Subscription is one stream, on its way to one handler.
type Subscription struct {
	client  *Client
	key     jt1078.Key
	handler Handler
	log     zerolog.Logger
	cancel  context.CancelFunc
	done    chan struct{}

	// All below belongs to run's goroutine.
	node        *node // of the latest try; kept between tries, so that its connection is too
	continuity  continuity
	heard       bool // the latest try brought an event
	unreachable bool // the handler has been told
}

// Close ends the subscription and returns when the handler's last call has returned; so the handler must not call it.
func (s *Subscription) Close() {
	s.cancel()
	<-s.done
}

// run takes the stream again and again until ctx ends.
func (s *Subscription) run(ctx context.Context) {
	defer close(s.done)
	defer s.cancel()
	m := s.client.metrics
	m.subscriptions.Inc()
	defer m.subscriptions.Dec()
	defer func() {
		if s.node != nil {
			s.client.release(s.node)
		}
	}()

	pause := firstPause
	for {
		began := time.Now()
		err := s.try(ctx)
		if ctx.Err() != nil {
			return
		}
		took := time.Since(began)
		wait := s.ended(err)
		if wait == 0 {
			if s.heard && took >= lasted {
				pause = firstPause
			}
			// A try that lasted, or waited for the connection, is pause enough.
			wait = pause/2 + rand.N(pause/2) - took
			pause = min(2*pause, lastPause)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// errNoConnection is what a try ends with that has waited for tryTimeout.
var errNoConnection = status.Errorf(codes.Unavailable, "no connection within %v", tryTimeout)

// try takes the stream until it ends.
func (s *Subscription) try(ctx context.Context) error {
	s.heard = false
	s.continuity.connected()
	if err := s.find(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	giveUp := time.AfterFunc(tryTimeout, func() { cancel(errNoConnection) })
	defer giveUp.Stop()
	err := s.take(ctx, giveUp)
	if errors.Is(context.Cause(ctx), errNoConnection) { // gRPC says "context canceled"
		return errNoConnection
	}
	return err
}

// take subscribes at s.node, stops giveUp when there is a connection, and hands on what comes until it ends.
func (s *Subscription) take(ctx context.Context, giveUp *time.Timer) error {
	stream, err := s.node.relay.Subscribe(ctx, &relayv1.SubscribeRequest{
		StreamId:   s.key.ID.String(),
		Kind:       relayv1.Kind(s.key.Kind), // the values are the same
		Subscriber: s.client.Name,
	}, grpc.WaitForReady(s.unreachable)) // at first a refused connection shall be told at once
	if err != nil {
		return err
	}
	giveUp.Stop()

	var event relayv1.Received
	for {
		if err := stream.RecvMsg(&event); err != nil {
			return err
		}
		if !s.heard {
			s.heard, s.unreachable = true, false
			if s.node.silent.CompareAndSwap(true, false) {
				s.client.Log.Info().Str("node", s.node.address).Msg("jt1078_server answers again")
			}
		}
		switch {
		case event.Frame != nil:
			s.frame(event.Frame)
		case event.State != nil:
			s.state(event.State)
		}
	}
}

// find sets s.node to the one that has the stream.
func (s *Subscription) find(ctx context.Context) error {
	address := s.client.Config.Address
	if resolver := s.client.Resolver; resolver != nil {
		ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
		defer cancel()
		found, err := resolver.Resolve(ctx, s.key)
		switch {
		case err == nil:
			address = found
		case s.node != nil: // a registry that is away must not part us from a node that is there
			address = s.node.address
		default:
			return err
		}
	}
	if s.node != nil && s.node.address == address {
		return nil
	}
	n, err := s.client.acquire(address)
	if err != nil {
		return err
	}
	if s.node != nil {
		s.client.release(s.node)
	}
	s.node = n
	return nil
}

func (s *Subscription) state(event *relayv1.State) {
	s.continuity.state(event.Epoch, int(event.CachedFrames))
	s.handler.OnState(State{Stage: Stage(event.Stage), Detail: event.Detail})
}

func (s *Subscription) frame(f *media.Frame) {
	m := s.client.metrics
	verdict, lost := s.continuity.frame(f, time.Now())
	if lost > 0 {
		m.lost.Add(float64(lost))
	}
	m.frames[verdict].Inc()
	if verdict == handOver {
		m.bytes.Add(float64(len(f.Data)))
		s.handler.OnFrame(f)
	}
}

// ended tells the handler why a try ended, and returns how long to wait before the next; 0 leaves it to run.
func (s *Subscription) ended(err error) time.Duration {
	m := s.client.metrics
	problem := status.Convert(err)
	for _, detail := range problem.Details() {
		if failure, ok := detail.(*relayv1.StartFailure); ok {
			m.ends.WithLabelValues("start_failed").Inc()
			return s.failed(Stage(failure.Stage), problem.Message(), time.Duration(failure.RetryAfterMs)*time.Millisecond)
		}
	}
	switch problem.Code() {
	case codes.InvalidArgument, codes.ResourceExhausted, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		m.ends.WithLabelValues("refused").Inc()
		return s.failed(0, problem.Message(), refusedPause)
	}
	m.ends.WithLabelValues("unreachable").Inc()
	if s.node != nil && s.node.silent.CompareAndSwap(false, true) {
		s.client.Log.Warn().Err(err).Str("node", s.node.address).Msg("jt1078_server does not answer; trying again every second")
	}
	if !s.unreachable {
		s.unreachable = true
		s.log.Debug().Err(err).Msg("stream's node is unreachable")
		s.handler.OnState(State{Stage: StageUnreachable, Detail: problem.Message()})
	}
	return 0
}

func (s *Subscription) failed(at Stage, detail string, retryAfter time.Duration) time.Duration {
	s.unreachable = false
	retryAfter = min(max(retryAfter, firstPause), maxRetryAfter)
	s.log.Debug().Stringer("at", at).Str("detail", detail).Dur("retry_after", retryAfter).Msg("stream's start failed")
	s.handler.OnState(State{Stage: StageFailed, FailedAt: at, Detail: detail, RetryAfter: retryAfter})
	return retryAfter
}
