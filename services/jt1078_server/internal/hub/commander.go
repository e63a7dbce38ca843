package hub

import (
	"context"
	"errors"
	"fmt"

	"multi_process_server/pkg/jt1078"
)

// Commander tells vehicles to send and to stop. Its methods may be called from many goroutines, one call a stream at a
// time, and return soon after ctx has ended.
type Commander interface {
	// StartLive asks for a channel's live picture (0x9101). It returns when the vehicle has replied, or as soon as the
	// command is in another server's queue; acknowledged tells which. Errors that mean something to the hub are
	// ErrUnreachable, ErrRefused and context.DeadlineExceeded: no reply came, though the vehicle may have been told and
	// dial all the same.
	StartLive(ctx context.Context, id jt1078.StreamID, stream Substream) (acknowledged bool, err error)
	// StopLive asks the vehicle to end it (0x9102). With ErrUnreachable it is called again for some seconds; otherwise
	// errors are for the log. The hub closes the connection in any case.
	StopLive(ctx context.Context, id jt1078.StreamID, stream Substream) error
}

// What a Commander's errors are, by errors.Is.
var (
	// ErrUnreachable: nobody was told, for sure. The vehicle is not connected, no queue is configured or it is down.
	ErrUnreachable = errors.New("the vehicle cannot be reached")
	// ErrRefused: the vehicle replied, and the reply was not "ok".
	ErrRefused = errors.New("the vehicle refused")
)

// Substream is which of a channel's two encodings the vehicle shall send. It is not part of a stream's identity, the
// packet header cannot tell them apart: a channel has one at a time. The values are those of 0x9101 (JT/T 1078-2016
// table 17).
type Substream uint8

// The two of them: main is the large picture, sub the small one.
const (
	SubstreamMain Substream = 0
	SubstreamSub  Substream = 1
)

// String is "main" or "sub".
func (s Substream) String() string {
	if s == SubstreamMain {
		return "main"
	}
	return "sub"
}

// MarshalText writes what UnmarshalText reads.
func (s Substream) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads "main" or "sub", as in the configuration.
func (s *Substream) UnmarshalText(text []byte) error {
	switch string(text) {
	case "main":
		*s = SubstreamMain
	case "sub":
		*s = SubstreamSub
	default:
		return fmt.Errorf("substream %.20q: want main or sub", text)
	}
	return nil
}
