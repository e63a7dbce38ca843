package signalling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
)

// pushBounded is RPUSH on a list that is not full, in one step: several nodes may fill it. It returns 0 for a full one.
var pushBounded = redis.NewScript(`
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
return redis.call('RPUSH', KEYS[1], ARGV[2])`)

// Queue hands commands to an outside JT/T 808 server through a Redis list. It connects when it is used and again when it
// has to. Its methods return within Timeout, and their errors are ErrQueueFull, ErrQueueDown and ctx's.
type Queue struct {
	Client  *redis.Client // with ContextTimeoutEnabled
	Length  int           // commands that may wait
	Timeout time.Duration
}

// StartLive queues 0x9101.
func (q *Queue) StartLive(ctx context.Context, id jt1078.StreamID, stream jt808.StreamType, dial Endpoint) error {
	return q.push(ctx, encodeLive("9101", id, stream, dial))
}

// StopLive queues 0x9102.
func (q *Queue) StopLive(ctx context.Context, id jt1078.StreamID, stream jt808.StreamType, dial Endpoint) error {
	return q.push(ctx, encodeLive("9102", id, stream, dial))
}

// StartReplay queues 0x9201, for what the vehicle recorded between two times of its own zone.
func (q *Queue) StartReplay(ctx context.Context, id jt1078.StreamID, from, to jt808.DateTime, dial Endpoint) error {
	return q.push(ctx, encodeReplayStart(id, from, to, dial))
}

// StopReplay queues 0x9202.
func (q *Queue) StopReplay(ctx context.Context, id jt1078.StreamID) error {
	return q.push(ctx, encodeReplayStop(id))
}

func (q *Queue) push(ctx context.Context, command []byte) error {
	limited, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	length, err := pushBounded.Run(limited, q.Client, []string{QueueKey}, q.Length, command).Int64()
	switch {
	case ctx.Err() != nil && err != nil:
		return ctx.Err()
	case err != nil:
		return unreachable(err)
	case length == 0:
		return ErrQueueFull
	}
	return nil
}

// Ready is nil when Redis answers.
func (q *Queue) Ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), q.Timeout)
	defer cancel()
	if err := q.Client.Ping(ctx).Err(); err != nil {
		return unreachable(err)
	}
	return nil
}

func unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no answer in time", ErrQueueDown) // not a DeadlineExceeded: nobody was told
	}
	return fmt.Errorf("%w: %w", ErrQueueDown, err)
}
