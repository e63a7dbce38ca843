package signalling

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
)

// pushBounded is RPUSH on a list of fewer than ARGV[1], in one step: several nodes may fill it. It returns 0 for a full
// one.
var pushBounded = redis.NewScript(`
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
return redis.call('RPUSH', KEYS[1], ARGV[2])`)

// Queue hands commands to an outside JT/T 808 server through a Redis list. It connects when it is used and again when it
// has to. Its methods return within Timeout, and their errors are ErrQueueFull, ErrQueueDown, ErrQueueSilent and ctx's.
type Queue struct {
	// Client has ContextTimeoutEnabled and does not retry: after a retry, an error would not tell whether the command went
	// out.
	Client *redis.Client
	// Length is how many commands may wait before no start is added. Stops are, up to twice as many: a start that waits
	// shall not be left without its stop.
	Length  int
	Timeout time.Duration
}

// StartLive queues 0x9101.
func (q *Queue) StartLive(ctx context.Context, id jt1078.StreamID, stream jt808.StreamType, dial Endpoint) error {
	return q.push(ctx, q.Length, encodeLive("9101", id, stream, dial))
}

// StopLive queues 0x9102.
func (q *Queue) StopLive(ctx context.Context, id jt1078.StreamID, stream jt808.StreamType, dial Endpoint) error {
	return q.push(ctx, 2*q.Length, encodeLive("9102", id, stream, dial))
}

// StartReplay queues 0x9201, for what the vehicle recorded between two times of its own zone.
func (q *Queue) StartReplay(ctx context.Context, id jt1078.StreamID, from, to jt808.DateTime, dial Endpoint) error {
	return q.push(ctx, q.Length, encodeReplayStart(id, from, to, dial))
}

// StopReplay queues 0x9202.
func (q *Queue) StopReplay(ctx context.Context, id jt1078.StreamID) error {
	return q.push(ctx, 2*q.Length, encodeReplayStop(id))
}

func (q *Queue) push(ctx context.Context, bound int, command []byte) error {
	limited, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	length, err := pushBounded.Run(limited, q.Client, []string{QueueKey}, bound, command).Int64()
	switch {
	case ctx.Err() != nil && err != nil:
		return ctx.Err()
	case notPushed(err):
		return fmt.Errorf("%w: %w", ErrQueueDown, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrQueueSilent, err)
	case length == 0:
		return ErrQueueFull
	}
	return nil
}

// notPushed reports whether err tells that the command is not in the queue: there was no connection to send it on, or
// Redis refused it.
func notPushed(err error) bool {
	var dial *net.OpError
	var refusal redis.Error
	return errors.As(err, &dial) && dial.Op == "dial" || errors.As(err, &refusal)
}

// Ready is nil when Redis answers.
func (q *Queue) Ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), q.Timeout)
	defer cancel()
	if err := q.Client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrQueueDown, err)
	}
	return nil
}
