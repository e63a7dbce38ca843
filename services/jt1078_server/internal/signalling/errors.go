package signalling

import (
	"context"
	"fmt"

	"multi_process_server/pkg/jt808"
	"multi_process_server/services/jt1078_server/internal/hub"
)

var (
	// ErrOffline: the vehicle is not connected, and no whole command has gone out to it. It is hub.ErrUnreachable.
	ErrOffline = fmt.Errorf("%w: it is not connected to the gateway", hub.ErrUnreachable)
	// ErrTimeout: the vehicle is connected and did not reply to any attempt. It may obey all the same, so it is what a
	// context's end is: context.DeadlineExceeded.
	ErrTimeout = fmt.Errorf("the vehicle did not reply: %w", context.DeadlineExceeded)
	// ErrInterrupted: the connection ended after the command had gone out. As with ErrTimeout, the vehicle may obey.
	ErrInterrupted = fmt.Errorf("the vehicle's connection ended before it replied: %w", context.DeadlineExceeded)
	// ErrQueueFull: nobody drains the queue. It is hub.ErrUnreachable.
	ErrQueueFull = fmt.Errorf("%w: nobody takes commands from the Redis list %s; is the JT/T 808 server running?", hub.ErrUnreachable, QueueKey)
	// ErrQueueDown: Redis cannot be reached, or refuses; nothing is in the queue. It is hub.ErrUnreachable.
	ErrQueueDown = fmt.Errorf("%w: Redis, which takes the commands, cannot be used", hub.ErrUnreachable)
	// ErrQueueSilent: Redis was given the command and its answer did not come. The command may be in the queue, so this
	// is a context.DeadlineExceeded, too.
	ErrQueueSilent = fmt.Errorf("Redis, which takes the commands, did not answer: %w", context.DeadlineExceeded)
)

// RejectedError is a vehicle's reply that is not "ok". It is hub.ErrRefused.
type RejectedError struct {
	Command jt808.MessageID
	Result  jt808.Result
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the vehicle refused %s: %s", e.Command, e.Result)
}

// Is makes errors.Is(err, hub.ErrRefused) true.
func (e *RejectedError) Is(target error) bool { return target == hub.ErrRefused }
