package jt808

import (
	"encoding/binary"
	"fmt"
)

// Register is 0x0100 (JT/T 808-2011, 2013 and 2019: table "terminal registration", 2013 8.5). The editions differ in the
// lengths of the fields alone.
type Register struct {
	Province, City uint16 // GB/T 2260: first two and last four digits; 0 = the platform decides
	Maker          string // at most 5 bytes, 2019: 11
	Model          string // at most 20 bytes, 2011: 8, 2019: 30
	TerminalID     string // at most 7 bytes, 2019: 30
	PlateColour    uint8  // JT/T 415, JT/T 697.7; 0 = no plate, Plate is the VIN
	Plate          string // GBK as it was sent, see Text
}

type registerLayout struct{ maker, model, terminalID int }

func (l registerLayout) length() int { return 4 + l.maker + l.model + l.terminalID + 1 }

func registerLayoutOf(v Version) registerLayout {
	switch v {
	case Version2011:
		return registerLayout{maker: 5, model: 8, terminalID: 7}
	case Version2019:
		return registerLayout{maker: 11, model: 30, terminalID: 30}
	default:
		return registerLayout{maker: 5, model: 20, terminalID: 7}
	}
}

// RegisterVersion tells a 2011 body under a 2013 header by its length: a 2011 plate is too short to reach what 2013 needs
// without one.
func RegisterVersion(length int, header Version) Version {
	if header == Version2013 && length < registerLayoutOf(Version2013).length() {
		return Version2011
	}
	return header
}

// ID implements Body.
func (*Register) ID() MessageID { return IDRegister }

// Unmarshal implements Body. Under Version2013 a 2011 body is recognised, see RegisterVersion.
func (m *Register) Unmarshal(b []byte, v Version) error {
	l := registerLayoutOf(RegisterVersion(len(b), v))
	if len(b) < l.length() {
		return lengthError(IDRegister, len(b), fmt.Sprintf("at least %d", l.length()))
	}
	m.Province = binary.BigEndian.Uint16(b)
	m.City = binary.BigEndian.Uint16(b[2:])
	b = b[4:]
	m.Maker, b = fixed(b[:l.maker]), b[l.maker:]
	m.Model, b = fixed(b[:l.model]), b[l.model:]
	m.TerminalID, b = fixed(b[:l.terminalID]), b[l.terminalID:]
	m.PlateColour = b[0]
	m.Plate = fixed(b[1:])
	return nil
}

// Append implements Body.
func (m *Register) Append(dst []byte, v Version) ([]byte, error) {
	l := registerLayoutOf(v)
	dst = binary.BigEndian.AppendUint16(dst, m.Province)
	dst = binary.BigEndian.AppendUint16(dst, m.City)
	dst, err := appendFixed(dst, IDRegister, "maker", m.Maker, l.maker)
	if err != nil {
		return nil, err
	}
	if dst, err = appendFixed(dst, IDRegister, "model", m.Model, l.model); err != nil {
		return nil, err
	}
	if dst, err = appendFixed(dst, IDRegister, "terminal id", m.TerminalID, l.terminalID); err != nil {
		return nil, err
	}
	dst = append(dst, m.PlateColour)
	return append(dst, m.Plate...), nil
}

// RegisterResult is the answer to a registration.
type RegisterResult uint8

// Results (JT/T 808-2013, 8.6).
const (
	RegisterOK              RegisterResult = 0
	RegisterVehicleTaken    RegisterResult = 1 // the vehicle is registered already
	RegisterUnknownVehicle  RegisterResult = 2 // no such vehicle in the platform's records
	RegisterTerminalTaken   RegisterResult = 3 // the terminal is registered already
	RegisterUnknownTerminal RegisterResult = 4 // no such terminal in the platform's records
)

// RegisterReply is 0x8100 (JT/T 808-2013, 8.6).
type RegisterReply struct {
	Serial   uint16 // of the Register that is answered
	Result   RegisterResult
	AuthCode string // only with RegisterOK; what the vehicle sends in Authenticate
}

// ID implements Body.
func (*RegisterReply) ID() MessageID { return IDRegisterReply }

// Unmarshal implements Body.
func (m *RegisterReply) Unmarshal(b []byte, _ Version) error {
	if len(b) < 3 {
		return lengthError(IDRegisterReply, len(b), "at least 3")
	}
	m.Serial = binary.BigEndian.Uint16(b)
	m.Result = RegisterResult(b[2])
	m.AuthCode = fixed(b[3:])
	return nil
}

// Append implements Body.
func (m *RegisterReply) Append(dst []byte, _ Version) ([]byte, error) {
	dst = binary.BigEndian.AppendUint16(dst, m.Serial)
	dst = append(dst, byte(m.Result))
	return append(dst, m.AuthCode...), nil
}
