package jt808

import (
	"encoding/binary"
	"fmt"
	"math"
)

// MediaType is what a vehicle is asked to send (or take, for talk and broadcast).
type MediaType uint8

// Media types of LiveStart (JT/T 1078-2016, 5.5.1).
const (
	MediaAV          MediaType = 0
	MediaVideo       MediaType = 1
	MediaTalk        MediaType = 2
	MediaListen      MediaType = 3
	MediaBroadcast   MediaType = 4
	MediaPassthrough MediaType = 5
)

// StreamType is the quality: main or sub.
type StreamType uint8

// Stream types of LiveStart and LiveControl.
const (
	StreamMain StreamType = 0
	StreamSub  StreamType = 1
)

// LiveStart is 0x9101 (JT/T 1078-2016, 5.5.1): the vehicle shall dial and send a channel.
type LiveStart struct {
	// Host is an IP address, or a name where the vehicle resolves names. At most 255 bytes.
	Host string
	// TCPPort and UDPPort: the road not taken is 0.
	TCPPort, UDPPort uint16
	Channel          uint8
	Media            MediaType
	Stream           StreamType
}

// ID implements Body.
func (*LiveStart) ID() MessageID { return IDLiveStart }

// Unmarshal implements Body.
func (m *LiveStart) Unmarshal(b []byte, _ Version) error {
	if len(b) == 0 || len(b) != 1+int(b[0])+7 {
		return lengthError(IDLiveStart, len(b), "8 and the address")
	}
	n := int(b[0])
	m.Host = fixed(b[1 : 1+n])
	b = b[1+n:]
	m.TCPPort = binary.BigEndian.Uint16(b)
	m.UDPPort = binary.BigEndian.Uint16(b[2:])
	m.Channel, m.Media, m.Stream = b[4], MediaType(b[5]), StreamType(b[6])
	return nil
}

// Append implements Body.
func (m *LiveStart) Append(dst []byte, _ Version) ([]byte, error) {
	if len(m.Host) > math.MaxUint8 {
		return nil, fmt.Errorf("%w: host of %s has %d bytes, the field %d", ErrField, IDLiveStart, len(m.Host), math.MaxUint8)
	}
	dst = append(dst, byte(len(m.Host)))
	dst = append(dst, m.Host...)
	dst = binary.BigEndian.AppendUint16(dst, m.TCPPort)
	dst = binary.BigEndian.AppendUint16(dst, m.UDPPort)
	return append(dst, m.Channel, byte(m.Media), byte(m.Stream)), nil
}

// ControlCommand is what LiveControl asks for.
type ControlCommand uint8

// Commands of LiveControl (JT/T 1078-2016, 5.5.2).
const (
	ControlClose   ControlCommand = 0
	ControlSwitch  ControlCommand = 1 // to LiveControl.Stream
	ControlPause   ControlCommand = 2
	ControlResume  ControlCommand = 3
	ControlEndTalk ControlCommand = 4
)

// CloseType is what ControlClose ends.
type CloseType uint8

// Close types.
const (
	CloseAll   CloseType = 0
	CloseAudio CloseType = 1 // video goes on
	CloseVideo CloseType = 2 // audio goes on
)

// LiveControl is 0x9102 (JT/T 1078-2016, 5.5.2): what shall become of a live channel.
type LiveControl struct {
	Channel uint8
	Command ControlCommand
	Close   CloseType
	Stream  StreamType
}

// ID implements Body.
func (*LiveControl) ID() MessageID { return IDLiveControl }

// Unmarshal implements Body.
func (m *LiveControl) Unmarshal(b []byte, _ Version) error {
	if len(b) != 4 {
		return lengthError(IDLiveControl, len(b), "4")
	}
	m.Channel, m.Command, m.Close, m.Stream = b[0], ControlCommand(b[1]), CloseType(b[2]), StreamType(b[3])
	return nil
}

// Append implements Body.
func (m *LiveControl) Append(dst []byte, _ Version) ([]byte, error) {
	return append(dst, m.Channel, byte(m.Command), byte(m.Close), byte(m.Stream)), nil
}
