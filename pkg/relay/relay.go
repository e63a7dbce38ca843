// Package relay is the consumer's side of the relay (proto/relay/v1, port 9511): one upstream per stream, which
// reconnects by itself and finds the node that has the stream.
package relay

import (
	"fmt"
	"time"

	relayv1 "multi_process_server/proto/relay/v1"

	"multi_process_server/pkg/media"
)

// Handler takes what a subscription brings. Its methods are called from one goroutine, in order, and must not block:
// while one runs, the stream's frames wait, and when they wait for long jt1078_server drops them.
type Handler interface {
	// OnFrame hands over a frame. The frame is never written to again, so the handler may keep it and its Data for
	// as long as it likes, and must not write to it either: others may have it too.
	//
	// PTS is one continuous clock for the life of the subscription, across reconnects and restarts of the server: it
	// never goes back within a track, and no frame comes twice. Video begins, and begins again after a loss, with a key
	// frame, possibly preceded by FrameParameterSets. Sequence and Received are the node's own.
	OnFrame(f *media.Frame)
	// OnState says how far the stream's start has come, and what became of it.
	OnState(s State)
}

// Stage is how far the start of a stream has come, or what it came to.
type Stage uint8

// The relay's stages, with the values of its contract, and two that only a consumer sees.
const (
	StageCommandSent  = Stage(relayv1.Stage_STAGE_COMMAND_SENT)
	StageAcknowledged = Stage(relayv1.Stage_STAGE_ACKNOWLEDGED)
	StageConnected    = Stage(relayv1.Stage_STAGE_CONNECTED)
	StageFirstPacket  = Stage(relayv1.Stage_STAGE_FIRST_PACKET)
	StagePlaying      = Stage(relayv1.Stage_STAGE_PLAYING)
	StageInterrupted  = Stage(relayv1.Stage_STAGE_INTERRUPTED)
	// StageFailed: the start failed, or the node refused the subscription. It is tried again after State.RetryAfter.
	StageFailed Stage = 100
	// StageUnreachable: the node does not answer. It is tried again at once, and then at most a second apart.
	StageUnreachable Stage = 101
)

// String is the stage in the words of logs and metrics.
func (s Stage) String() string {
	switch s {
	case StageCommandSent:
		return "command sent"
	case StageAcknowledged:
		return "acknowledged"
	case StageConnected:
		return "connected"
	case StageFirstPacket:
		return "first packet"
	case StagePlaying:
		return "playing"
	case StageInterrupted:
		return "interrupted"
	case StageFailed:
		return "failed"
	case StageUnreachable:
		return "unreachable"
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// State is an event in a stream's start.
type State struct {
	Stage Stage
	// FailedAt, with StageFailed, is the stage that was waited for and did not come; 0 where the node said no for
	// another reason.
	FailedAt Stage
	// Detail is a sentence for people, may be empty.
	Detail string
	// RetryAfter, with StageFailed, is when the next try is made.
	RetryAfter time.Duration
}

// Missing is the stage that a start without a picture waits for, or that its failure was about; 0 where no stage is to
// blame but the node.
func (s State) Missing() Stage {
	switch s.Stage {
	case StageFailed:
		return s.FailedAt
	case StageCommandSent:
		return StageAcknowledged
	case StageAcknowledged, StageInterrupted:
		return StageConnected
	case StageConnected:
		return StageFirstPacket
	case StageFirstPacket, StagePlaying:
		return StagePlaying
	}
	return 0
}

// Problem tells a viewer in a sentence why there is no picture.
func (s State) Problem() string {
	var text string
	switch s.Stage {
	case StageUnreachable:
		text = "jt1078_server does not answer"
	case StageFailed:
		if s.FailedAt != 0 && s.Detail != "" {
			return s.Detail // a whole sentence, which names the stage
		}
		text = "jt1078_server refuses"
	case StageCommandSent:
		text = "the vehicle was told to send and has not replied"
	case StageAcknowledged:
		text = "the vehicle has agreed to send and has not dialled the media port"
	case StageConnected:
		text = "the vehicle has dialled and sends nothing"
	case StageFirstPacket, StagePlaying:
		text = "the vehicle sends no key frame that can be shown"
	case StageInterrupted:
		text = "the vehicle's connection has ended and it has not dialled again"
	default:
		text = "jt1078_server has not answered"
	}
	if s.Detail != "" {
		text += ": " + s.Detail
	}
	return text
}
