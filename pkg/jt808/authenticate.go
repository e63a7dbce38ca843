package jt808

import (
	"fmt"
	"math"
)

// Lengths in a 2019 Authenticate behind its code.
const (
	imeiLength     = 15
	softwareLength = 20
)

// Authenticate is 0x0102 (JT/T 808-2013, 8.8, where the body is the code and nothing else; JT/T 808-2019 has the code's
// length before it and two more fields behind it).
type Authenticate struct {
	Code     string
	IMEI     string // 2019, at most 15 bytes
	Software string // 2019, at most 20 bytes
}

// ID implements Body.
func (*Authenticate) ID() MessageID { return IDAuthenticate }

// Unmarshal implements Body.
func (m *Authenticate) Unmarshal(b []byte, v Version) error {
	if v != Version2019 {
		*m = Authenticate{Code: fixed(b)}
		return nil
	}
	if len(b) == 0 {
		return lengthError(IDAuthenticate, 0, "at least 1")
	}
	n, b := int(b[0]), b[1:]
	if len(b) != n+imeiLength+softwareLength {
		return lengthError(IDAuthenticate, len(b)+1, fmt.Sprintf("%d for a code of %d", 1+n+imeiLength+softwareLength, n))
	}
	m.Code, b = fixed(b[:n]), b[n:]
	m.IMEI, b = fixed(b[:imeiLength]), b[imeiLength:]
	m.Software = fixed(b)
	return nil
}

// Append implements Body.
func (m *Authenticate) Append(dst []byte, v Version) ([]byte, error) {
	if v != Version2019 {
		return append(dst, m.Code...), nil
	}
	if len(m.Code) > math.MaxUint8 {
		return nil, fmt.Errorf("%w: code of %s has %d bytes, the field %d", ErrField, IDAuthenticate, len(m.Code), math.MaxUint8)
	}
	dst = append(dst, byte(len(m.Code)))
	dst = append(dst, m.Code...)
	dst, err := appendFixed(dst, IDAuthenticate, "IMEI", m.IMEI, imeiLength)
	if err != nil {
		return nil, err
	}
	return appendFixed(dst, IDAuthenticate, "software version", m.Software, softwareLength)
}
