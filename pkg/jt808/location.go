package jt808

import (
	"encoding/binary"
	"fmt"
	"math"
)

const locationLength = 28

// Bits of Location.Status (JT/T 808-2013, table 25).
const (
	StatusACC        = 1 << 0
	StatusPositioned = 1 << 1
	StatusSouth      = 1 << 2
	StatusWest       = 1 << 3
)

// Location is 0x0200 (JT/T 808-2013, 8.18).
type Location struct {
	Alarm  uint32 // bits of table 24
	Status uint32 // bits of table 25
	// Latitude and Longitude in millionths of a degree, without sign: see Degrees.
	Latitude, Longitude uint32
	Altitude            uint16 // m
	Speed               uint16 // 0.1 km/h
	Direction           uint16 // degrees, 0 = north, clockwise
	Time                DateTime
	// Items are the additional items (id, length, value) as they are; they alias Unmarshal's input.
	Items []byte
}

// Degrees is the position with its sign: north and east are positive. It is meaningful with StatusPositioned only.
func (m *Location) Degrees() (latitude, longitude float64) {
	latitude, longitude = float64(m.Latitude)/1e6, float64(m.Longitude)/1e6
	if m.Status&StatusSouth != 0 {
		latitude = -latitude
	}
	if m.Status&StatusWest != 0 {
		longitude = -longitude
	}
	return latitude, longitude
}

// ID implements Body.
func (*Location) ID() MessageID { return IDLocation }

// Unmarshal implements Body.
func (m *Location) Unmarshal(b []byte, _ Version) error {
	if len(b) < locationLength {
		return lengthError(IDLocation, len(b), fmt.Sprintf("at least %d", locationLength))
	}
	m.Alarm = binary.BigEndian.Uint32(b)
	m.Status = binary.BigEndian.Uint32(b[4:])
	m.Latitude = binary.BigEndian.Uint32(b[8:])
	m.Longitude = binary.BigEndian.Uint32(b[12:])
	m.Altitude = binary.BigEndian.Uint16(b[16:])
	m.Speed = binary.BigEndian.Uint16(b[18:])
	m.Direction = binary.BigEndian.Uint16(b[20:])
	m.Time = DateTime(b[22:locationLength])
	m.Items = nil
	if len(b) > locationLength {
		m.Items = b[locationLength:]
	}
	return nil
}

// Append implements Body.
func (m *Location) Append(dst []byte, _ Version) ([]byte, error) {
	dst = binary.BigEndian.AppendUint32(dst, m.Alarm)
	dst = binary.BigEndian.AppendUint32(dst, m.Status)
	dst = binary.BigEndian.AppendUint32(dst, m.Latitude)
	dst = binary.BigEndian.AppendUint32(dst, m.Longitude)
	dst = binary.BigEndian.AppendUint16(dst, m.Altitude)
	dst = binary.BigEndian.AppendUint16(dst, m.Speed)
	dst = binary.BigEndian.AppendUint16(dst, m.Direction)
	dst = append(dst, m.Time[:]...)
	return append(dst, m.Items...), nil
}

// LocationBatch is 0x0704 (JT/T 808-2013, 8.49): locations that a vehicle collected.
type LocationBatch struct {
	// Blind is true for what the vehicle could not send at its time, false for an ordinary batch.
	Blind     bool
	Locations []Location
}

// ID implements Body.
func (*LocationBatch) ID() MessageID { return IDLocationBatch }

// Unmarshal implements Body. It allocates by the body's length, not by the number that stands in it.
func (m *LocationBatch) Unmarshal(b []byte, v Version) error {
	if len(b) < 3 {
		return lengthError(IDLocationBatch, len(b), "at least 3")
	}
	count := int(binary.BigEndian.Uint16(b))
	m.Blind = b[2] == 1
	b = b[3:]
	if len(b) < count*(2+locationLength) {
		return fmt.Errorf("%w: %s announces %d locations in %d bytes", ErrBody, IDLocationBatch, count, len(b))
	}
	m.Locations = make([]Location, count)
	for i := range m.Locations {
		if len(b) < 2 {
			return fmt.Errorf("%w: %s ends before location %d of %d", ErrBody, IDLocationBatch, i+1, count)
		}
		n := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		if len(b) < n {
			return fmt.Errorf("%w: %s ends inside location %d of %d", ErrBody, IDLocationBatch, i+1, count)
		}
		if err := m.Locations[i].Unmarshal(b[:n:n], v); err != nil {
			return err
		}
		b = b[n:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%w: %s has %d bytes behind its last location", ErrBody, IDLocationBatch, len(b))
	}
	return nil
}

// Append implements Body.
func (m *LocationBatch) Append(dst []byte, v Version) ([]byte, error) {
	if len(m.Locations) > math.MaxUint16 {
		return nil, fmt.Errorf("%w: %d locations in a %s", ErrField, len(m.Locations), IDLocationBatch)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(m.Locations)))
	if m.Blind {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	for i := range m.Locations {
		l := &m.Locations[i]
		if locationLength+len(l.Items) > math.MaxUint16 {
			return nil, fmt.Errorf("%w: location %d of a %s has %d bytes of items", ErrField, i+1, IDLocationBatch, len(l.Items))
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(locationLength+len(l.Items)))
		var err error
		if dst, err = l.Append(dst, v); err != nil {
			return nil, err
		}
	}
	return dst, nil
}
