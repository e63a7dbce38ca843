package relayserver

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"multi_process_server/pkg/jt1078"
	relayv1 "multi_process_server/proto/relay/v1"
	"multi_process_server/services/jt1078_server/internal/hub"
)

// maxName is how much of a consumer's name is kept.
const maxName = 64

// relayService is the gRPC service.
type relayService struct {
	relayv1.UnimplementedRelayServer
	server *Server
}

// Subscribe sends a stream until its consumer, the stream or the server ends.
func (r *relayService) Subscribe(request *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
	s := r.server
	err := s.serve(request, stream)
	s.metrics.ends.WithLabelValues(status.Code(err).String()).Inc()
	if log := s.Log.Debug(); log.Enabled() {
		if p, ok := peer.FromContext(stream.Context()); ok {
			log = log.Stringer("remote", p.Addr)
		}
		log.Err(err).Str("stream", request.StreamId).Str("subscriber", request.Subscriber).Msg("subscription ended")
	}
	return err
}

func (s *Server) serve(request *relayv1.SubscribeRequest, stream grpc.ServerStreamingServer[relayv1.Event]) error {
	key, err := keyOf(request)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	defer s.open.Add(-1)
	if s.open.Add(1) > int64(s.Config.MaxSubscriptions) {
		return status.Error(codes.ResourceExhausted, "too many subscriptions (relay.max_subscriptions)")
	}
	subscriber, err := s.Subscribe(key, request.Subscriber[:min(len(request.Subscriber), maxName)])
	if err != nil {
		return statusOf(err)
	}
	defer subscriber.Close()

	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.stopping, func() { cancel(hub.ErrStopping) })()
	for {
		event, err := subscriber.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return statusOf(err)
		}
		size := event.Len()
		// The codec takes a reference of its own. Send waits while the consumer is behind; the hub drops meanwhile.
		err = stream.SendMsg(event)
		event.Free()
		if err != nil {
			return err
		}
		s.metrics.events.Inc()
		s.metrics.bytes.Add(float64(size))
	}
}

func keyOf(request *relayv1.SubscribeRequest) (jt1078.Key, error) {
	var kind jt1078.Kind
	switch request.Kind {
	case relayv1.Kind_KIND_LIVE:
		kind = jt1078.KindLive
	case relayv1.Kind_KIND_REPLAY:
		kind = jt1078.KindReplay
	default:
		return jt1078.Key{}, errors.New("kind: want KIND_LIVE or KIND_REPLAY")
	}
	id, err := jt1078.ParseStreamID(request.StreamId)
	if err != nil {
		return jt1078.Key{}, err
	}
	return jt1078.Key{Kind: kind, ID: id}, nil
}

// statusOf says in the relay's terms why a subscription ended.
func statusOf(err error) error {
	var start *hub.StartError
	switch {
	case errors.As(err, &start):
		failure := &relayv1.StartFailure{
			Stage:        start.Stage,
			RetryAfterMs: uint32(min(max(start.RetryAfter, 0), time.Hour).Milliseconds()),
		}
		plain := status.New(codes.Unavailable, err.Error())
		if detailed, err := plain.WithDetails(failure); err == nil {
			return detailed.Err()
		}
		return plain.Err()
	case errors.Is(err, hub.ErrStopping):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, hub.ErrTooManyStreams), errors.Is(err, hub.ErrTooManySubscribers):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Internal, err.Error())
}
