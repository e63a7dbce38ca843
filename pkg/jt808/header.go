package jt808

import (
	"encoding/binary"
	"errors"
	"fmt"

	"multi_process_server/pkg/jt1078"
)

// MaxBody is what the ten length bits of a header can say; longer bodies go in sub-packages.
const MaxBody = 1<<10 - 1

// Lengths of an unescaped message around its body (JT/T 808-2019, 4.4.3).
const (
	headerLength2013 = 12 // id 2, attributes 2, SIM 6, serial number 2
	headerLength2019 = 17 // id 2, attributes 2, protocol version 1, SIM 10, serial number 2
	splitLength      = 4  // total 2, number 2
	maxMessage       = headerLength2019 + splitLength + MaxBody + 1
)

// Bits of a header's attributes.
const (
	attributeLength     = MaxBody
	attributeEncryption = 7 << 10
	attributeSplit      = 1 << 13
	attributeVersion    = 1 << 14
)

// Version is an edition of JT/T 808. Headers of 2011 and 2013 are alike, so a header that was read says Version2013 for
// both; 2011 differs in the body of Register alone.
type Version uint8

// The editions.
const (
	Version2011 Version = iota + 1
	Version2013
	Version2019
)

// String is the year.
func (v Version) String() string {
	switch v {
	case Version2011:
		return "2011"
	case Version2013:
		return "2013"
	case Version2019:
		return "2019"
	}
	return fmt.Sprintf("version(%d)", uint8(v))
}

// MessageID is the first word of a header: 0x0xxx and 0x1xxx come from the vehicle, 0x8xxx and 0x9xxx from the platform.
type MessageID uint16

// The messages that the package knows.
const (
	IDTerminalReply MessageID = 0x0001
	IDHeartbeat     MessageID = 0x0002
	IDLogoff        MessageID = 0x0003
	IDRegister      MessageID = 0x0100
	IDAuthenticate  MessageID = 0x0102
	IDLocation      MessageID = 0x0200
	IDLocationBatch MessageID = 0x0704
	IDPlatformReply MessageID = 0x8001
	IDRegisterReply MessageID = 0x8100
	IDLiveStart     MessageID = 0x9101
	IDLiveControl   MessageID = 0x9102
)

// String is "0x0200".
func (id MessageID) String() string { return fmt.Sprintf("0x%04X", uint16(id)) }

// Header is a message's header (JT/T 808-2013, 4.4.3; JT/T 808-2019, 4.4.3).
type Header struct {
	ID MessageID
	// Version decides the layout: Version2019 has a version byte and a SIM of ten bytes, the others have six.
	Version Version
	// ProtocolVersion is the byte that only a 2019 header has: 1 in that edition, higher in later ones.
	ProtocolVersion uint8
	// Encryption is three bits; 0 is none, 1 is RSA. An encrypted body is handed on as it is.
	Encryption uint8
	SIM        jt1078.SIM
	// Serial counts the messages of one direction of a session and wraps.
	Serial uint16
	// Total and Number (from 1) are set on a sub-package, both 0 on a whole message.
	Total, Number uint16
}

// Split reports whether the message is one sub-package of several.
func (h *Header) Split() bool { return h.Total != 0 }

// Message is a header and its body.
type Message struct {
	Header Header
	// Body belongs to whoever filled the message in; after Reader.Read it is valid until the next Read.
	Body []byte
}

var (
	// ErrSIMTooLong is the error of writing a SIM of more than 12 digits with a 2011 or 2013 header.
	ErrSIMTooLong = errors.New("jt808: a SIM of more than 12 digits needs a 2019 header")
	// ErrBodyTooLong is the error of a body that does not fit: see MaxBody and AppendSplit.
	ErrBodyTooLong = errors.New("jt808: message body is too long")
)

// append writes the header with room for the body's length, see setLength.
func (h *Header) append(dst []byte) ([]byte, error) {
	attributes := uint16(h.Encryption) << 10 & attributeEncryption
	if h.Split() {
		attributes |= attributeSplit
	}
	if h.Version == Version2019 {
		attributes |= attributeVersion
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.ID))
	dst = binary.BigEndian.AppendUint16(dst, attributes)
	switch {
	case h.Version == Version2019:
		dst = append(dst, h.ProtocolVersion)
		dst = append(dst, h.SIM[:]...)
	case h.SIM.Long():
		return nil, ErrSIMTooLong
	default:
		dst = append(dst, h.SIM[4:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, h.Serial)
	if h.Split() {
		dst = binary.BigEndian.AppendUint16(dst, h.Total)
		dst = binary.BigEndian.AppendUint16(dst, h.Number)
	}
	return dst, nil
}

// setLength writes the body's length into the attributes of an unescaped message.
func setLength(message []byte, length int) {
	message[2] |= byte(length >> 8)
	message[3] |= byte(length)
}

// unmarshal reads an unescaped message without its checksum.
func (m *Message) unmarshal(b []byte) error {
	if len(b) < headerLength2013 {
		return FrameLength
	}
	attributes := binary.BigEndian.Uint16(b[2:])
	h := Header{
		ID:         MessageID(binary.BigEndian.Uint16(b)),
		Version:    Version2013,
		Encryption: uint8(attributes & attributeEncryption >> 10),
	}
	size := headerLength2013
	if attributes&attributeVersion != 0 {
		h.Version = Version2019
		size = headerLength2019
		if len(b) < size {
			return FrameLength
		}
		h.ProtocolVersion = b[4]
		h.SIM = jt1078.SIMFromBytes(b[5:15])
	} else {
		h.SIM = jt1078.SIMFromBytes(b[4:10])
	}
	h.Serial = binary.BigEndian.Uint16(b[size-2:])
	if attributes&attributeSplit != 0 {
		if len(b) < size+splitLength {
			return FrameLength
		}
		h.Total = binary.BigEndian.Uint16(b[size:])
		h.Number = binary.BigEndian.Uint16(b[size+2:])
		size += splitLength
		if h.Number == 0 || h.Number > h.Total {
			return FrameSplit
		}
	}
	if len(b)-size != int(attributes&attributeLength) {
		return FrameLength
	}
	m.Header, m.Body = h, b[size:]
	return nil
}
