package jt808

import (
	"errors"
	"testing"
	"time"
)

func TestDateTime(t *testing.T) {
	zone := time.FixedZone("vehicle", 8*3600)
	for _, c := range []struct {
		text string
		time time.Time
	}{
		{"260101120005", time.Date(2026, 1, 1, 12, 0, 5, 0, zone)},
		{"000229235959", time.Date(2000, 2, 29, 23, 59, 59, 0, zone)},
		{"991231000000", time.Date(2099, 12, 31, 0, 0, 0, 0, zone)},
	} {
		d := DateTimeOf(c.time)
		if d.String() != c.text {
			t.Errorf("got %s, want %s", d, c.text)
		}
		if got, err := d.Time(zone); err != nil || !got.Equal(c.time) {
			t.Errorf("%s: got %v %v", c.text, got, err)
		}
	}
}

func TestDateTimeRefused(t *testing.T) {
	for _, d := range []DateTime{{}, {0x26, 0x13, 0x01}, {0x26, 0x02, 0x30}, {0x26, 0x01, 0x0a}, {0x26, 0x01, 0x01, 0x24}} {
		if got, err := d.Time(time.UTC); !errors.Is(err, ErrField) {
			t.Errorf("%s: got %v %v", d, got, err)
		}
	}
}
