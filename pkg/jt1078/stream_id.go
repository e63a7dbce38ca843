package jt1078

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// MaxChannel is the highest logical channel a stream can have (JT/T 1076-2016, table 2 ends well below it).
const MaxChannel = 64

// SIM is a terminal's number as it stands in the packet header, BCD, right-aligned: a JT/T 808-2013 vehicle's six
// bytes fill the last six and the first four are zero; a 2019 vehicle's ten fill it. A 20-digit SIM whose first eight
// digits are zero is thereby the same SIM as its last 12 digits. A SIM that is not BCD keeps its hex digits.
type SIM [10]byte

// ParseSIM reads 1 to 20 hex digits and pads them with zeros on the left. It is for the edges where people write SIMs
// (API, configuration); stream names are stricter, see ParseStreamID.
func ParseSIM(s string) (SIM, error) {
	var sim SIM
	if s == "" || len(s) > 2*len(sim) {
		return sim, fmt.Errorf("SIM %q: want 1 to 20 digits", s)
	}
	const zeros = "00000000000000000000"
	if _, err := hex.Decode(sim[:], []byte(zeros[len(s):]+s)); err != nil {
		return SIM{}, fmt.Errorf("SIM %q: a character is not a digit", s)
	}
	return sim, nil
}

// SIMFromBytes takes the 6 or 10 bytes of a packet or message header.
func SIMFromBytes(b []byte) SIM {
	var sim SIM
	copy(sim[len(sim)-len(b):], b)
	return sim
}

// String is the canonical form: 12 digits, or 20 where the first eight are not all zero.
func (s SIM) String() string {
	var text [20]byte
	hex.Encode(text[:], s[:])
	if s.Long() {
		return string(text[:])
	}
	return string(text[8:])
}

// Long reports whether the SIM needs the ten bytes of JT/T 808-2019.
func (s SIM) Long() bool { return s[0]|s[1]|s[2]|s[3] != 0 }

// StreamID names a vehicle's channel: SIM and logical channel. It is comparable; the zero value names nothing.
type StreamID struct {
	SIM     SIM
	Channel uint8
}

// String is the canonical name: the SIM's 12 or 20 digits, then the channel's two: 06495940943803.
func (id StreamID) String() string {
	return id.SIM.String() + string([]byte{'0' + id.Channel/10%10, '0' + id.Channel%10})
}

// ErrStreamID is what every error of ParseStreamID is.
var ErrStreamID = errors.New("not a stream id")

// NotCanonicalError says that a name can be understood and is refused nevertheless: a player waits on the very name
// that it asked for.
type NotCanonicalError struct {
	Name      string
	Canonical StreamID
}

func (e *NotCanonicalError) Error() string {
	return fmt.Sprintf("stream id %q is not canonical, use %q", e.Name, e.Canonical)
}

// Is makes errors.Is(err, ErrStreamID) true.
func (e *NotCanonicalError) Is(target error) bool { return target == ErrStreamID }

// ParseStreamID reads a canonical stream name: 12 or 20 of [0-9a-f], then two decimal digits 01 to 64. Its errors are
// ErrStreamID; where the name could be repaired, a *NotCanonicalError names the canonical form.
func ParseStreamID(s string) (StreamID, error) {
	if len(s) < 3 || len(s) > 22 {
		return StreamID{}, fmt.Errorf("%w: %.40q has %d characters, want 14 (12 digits of SIM, 2 of channel) or 22", ErrStreamID, s, len(s))
	}
	digits, channel := s[:len(s)-2], s[len(s)-2:]
	if channel[0] < '0' || channel[0] > '9' || channel[1] < '0' || channel[1] > '9' {
		return StreamID{}, fmt.Errorf("%w: %q does not end in two digits of channel", ErrStreamID, s)
	}
	number := (channel[0]-'0')*10 + channel[1] - '0'
	if number < 1 || number > MaxChannel {
		return StreamID{}, fmt.Errorf("%w: channel %s of %q is not 01 to %d", ErrStreamID, channel, s, MaxChannel)
	}
	sim, err := ParseSIM(digits)
	if err != nil {
		return StreamID{}, fmt.Errorf("%w: %q: %w", ErrStreamID, s, err)
	}
	id := StreamID{SIM: sim, Channel: number}
	if s != id.String() {
		return StreamID{}, &NotCanonicalError{Name: s, Canonical: id}
	}
	return id, nil
}

// Kind is what a stream is for. The packet header cannot tell kinds apart; the port that the vehicle dialled does.
type Kind uint8

// The kinds. Live and Replay are also the URL prefix, the RTMP app and the SRS app.
const (
	KindLive Kind = iota + 1
	KindReplay
	KindTalk
)

// String is "live", "replay" or "talk".
func (k Kind) String() string {
	switch k {
	case KindLive:
		return "live"
	case KindReplay:
		return "replay"
	case KindTalk:
		return "talk"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind reads what String writes.
func ParseKind(s string) (Kind, error) {
	for k := KindLive; k <= KindTalk; k++ {
		if s == k.String() {
			return k, nil
		}
	}
	return 0, fmt.Errorf("kind %.20q: want live, replay or talk", s)
}

// Key names one stream of the platform: a channel's live picture and its playback are two streams.
type Key struct {
	Kind Kind
	ID   StreamID
}

// String is "live/06495940943803", as in URLs.
func (k Key) String() string { return k.Kind.String() + "/" + k.ID.String() }
