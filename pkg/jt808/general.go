package jt808

import (
	"encoding/binary"
	"fmt"
)

// Result is the last byte of a general reply.
type Result uint8

// Results (JT/T 808-2013, table 4 and table 5).
const (
	ResultOK          Result = 0
	ResultFailed      Result = 1
	ResultBadMessage  Result = 2
	ResultUnsupported Result = 3
	ResultAlarm       Result = 4 // platform's only: an alarm was dealt with
)

// String is the result in words.
func (r Result) String() string {
	switch r {
	case ResultOK:
		return "ok"
	case ResultFailed:
		return "failed"
	case ResultBadMessage:
		return "bad message"
	case ResultUnsupported:
		return "not supported"
	case ResultAlarm:
		return "alarm acknowledged"
	}
	return fmt.Sprintf("result %d", uint8(r))
}

// Reply is what both general replies say: which message is answered, and how.
type Reply struct {
	Serial uint16
	To     MessageID
	Result Result
}

func (r *Reply) unmarshal(b []byte, id MessageID) error {
	if len(b) != 5 {
		return lengthError(id, len(b), "5")
	}
	r.Serial = binary.BigEndian.Uint16(b)
	r.To = MessageID(binary.BigEndian.Uint16(b[2:]))
	r.Result = Result(b[4])
	return nil
}

func (r *Reply) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, r.Serial)
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.To))
	return append(dst, byte(r.Result))
}

// TerminalReply is the vehicle's general reply, 0x0001 (JT/T 808-2013, 8.1).
type TerminalReply Reply

// ID implements Body.
func (*TerminalReply) ID() MessageID { return IDTerminalReply }

// Unmarshal implements Body.
func (m *TerminalReply) Unmarshal(b []byte, _ Version) error {
	return (*Reply)(m).unmarshal(b, IDTerminalReply)
}

// Append implements Body.
func (m *TerminalReply) Append(dst []byte, _ Version) ([]byte, error) {
	return (*Reply)(m).append(dst), nil
}

// PlatformReply is the platform's general reply, 0x8001 (JT/T 808-2013, 8.2).
type PlatformReply Reply

// ID implements Body.
func (*PlatformReply) ID() MessageID { return IDPlatformReply }

// Unmarshal implements Body.
func (m *PlatformReply) Unmarshal(b []byte, _ Version) error {
	return (*Reply)(m).unmarshal(b, IDPlatformReply)
}

// Append implements Body.
func (m *PlatformReply) Append(dst []byte, _ Version) ([]byte, error) {
	return (*Reply)(m).append(dst), nil
}

// Heartbeat is 0x0002 (JT/T 808-2013, 8.3). It has no body; what a vehicle puts there is ignored.
type Heartbeat struct{}

// ID implements Body.
func (*Heartbeat) ID() MessageID { return IDHeartbeat }

// Unmarshal implements Body.
func (*Heartbeat) Unmarshal([]byte, Version) error { return nil }

// Append implements Body.
func (*Heartbeat) Append(dst []byte, _ Version) ([]byte, error) { return dst, nil }

// Logoff is 0x0003 (JT/T 808-2013, 8.7): the vehicle ends its registration. It has no body.
type Logoff struct{}

// ID implements Body.
func (*Logoff) ID() MessageID { return IDLogoff }

// Unmarshal implements Body.
func (*Logoff) Unmarshal([]byte, Version) error { return nil }

// Append implements Body.
func (*Logoff) Append(dst []byte, _ Version) ([]byte, error) { return dst, nil }
