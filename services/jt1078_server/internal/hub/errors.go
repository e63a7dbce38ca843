package hub

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"multi_process_server/pkg/jt1078"
	relayv1 "multi_process_server/proto/relay/v1"
)

// Why a subscription is refused or ends, beside *StartError and the subscriber's own context.
var (
	// ErrStopping: this node is shutting down; another one, or this one in a moment, will serve.
	ErrStopping = errors.New("the server is stopping")
	// ErrTooManyStreams: hub.max_streams is reached.
	ErrTooManyStreams = errors.New("too many streams (hub.max_streams)")
	// ErrTooManySubscribers: hub.max_subscribers is reached for this stream.
	ErrTooManySubscribers = errors.New("too many subscribers of this stream (hub.max_subscribers)")
)

// Why a publisher is refused or ends. The vehicle's connection is worth closing for each of them.
var (
	// ErrDuplicate: another connection sends this stream and is alive; two vehicles bear one SIM, most likely.
	ErrDuplicate = errors.New("another connection already sends this stream")
	// ErrUnwanted: the vehicle was told to stop a moment ago and nobody watches.
	ErrUnwanted = errors.New("the vehicle was told to stop this stream and nobody watches it")
	// ErrTakenOver: a newer connection sends this stream now.
	ErrTakenOver = errors.New("a newer connection took the stream over")
	// ErrSilent: it had brought nothing for long when somebody wanted the stream; the vehicle is told to dial anew.
	ErrSilent = errors.New("the connection was silent when the stream was wanted")
	// ErrStopped: the hub ended the stream, as nobody watches it any more or its start failed.
	ErrStopped = errors.New("the stream was stopped")
)

// StartError says that a vehicle's stream could not be started, and how far it came.
type StartError struct {
	Key jt1078.Key
	// Stage that was waited for and did not come.
	Stage relayv1.Stage
	// RetryAfter is how long no new attempt will be made.
	RetryAfter time.Duration
	// Err is the commander's, nil where the time was up.
	Err error
}

func (e *StartError) Error() string {
	text := fmt.Sprintf("%s did not start: %s", e.Key, missed(e.Stage))
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *StartError) Unwrap() error { return e.Err }

// missed says in a sentence what did not happen.
func missed(stage relayv1.Stage) string {
	switch stage {
	case relayv1.Stage_STAGE_COMMAND_SENT:
		return "the command could not be sent to the vehicle"
	case relayv1.Stage_STAGE_ACKNOWLEDGED:
		return "the vehicle did not accept the command"
	case relayv1.Stage_STAGE_CONNECTED:
		return "the vehicle did not dial the media port"
	case relayv1.Stage_STAGE_FIRST_PACKET:
		return "the vehicle dialled but sent nothing"
	case relayv1.Stage_STAGE_PLAYING:
		return "the vehicle sent no key frame"
	}
	return "stage " + stageName(stage) + " was not reached"
}

// stageName is the stage as it stands in logs and metric labels: "first_packet".
func stageName(stage relayv1.Stage) string {
	return strings.ToLower(strings.TrimPrefix(stage.String(), "STAGE_"))
}
