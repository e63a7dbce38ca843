package jt808

import (
	"encoding/hex"
	"fmt"
	"time"
)

// DateTime is a BCD[6] YYMMDDhhmmss in the vehicle's own zone; the zero value means "none" where the standards allow it.
type DateTime [6]byte

// DateTimeOf writes t in its own zone. Years are 2000 to 2099; others wrap.
func DateTimeOf(t time.Time) DateTime {
	var d DateTime
	for i, v := range [...]int{t.Year() % 100, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()} {
		d[i] = byte(v/10<<4 | v%10)
	}
	return d
}

// Time reads d in the vehicle's zone. The error is ErrField: digits that are no digits, or no such moment.
func (d DateTime) Time(zone *time.Location) (time.Time, error) {
	t, err := time.ParseInLocation("060102150405", d.String(), zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %s is not a time YYMMDDhhmmss", ErrField, d)
	}
	if t.Year() < 2000 { // time reads years from 69 on as 19xx
		t = t.AddDate(100, 0, 0)
	}
	return t, nil
}

// String is the twelve digits.
func (d DateTime) String() string { return hex.EncodeToString(d[:]) }
