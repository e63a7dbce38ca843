package rtsp

import (
	"bytes"
	"net"
	"slices"
	"testing"
)

// writes keeps what was written, by system call.
type writes struct {
	net.Conn
	calls []string
}

func (w *writes) Write(b []byte) (int, error) {
	w.calls = append(w.calls, string(b))
	return len(b), nil
}

func TestPicturesAreWrittenWhole(t *testing.T) {
	const (
		first    = "$\x00\x00\x03\x80\x60a"
		last     = "$\x00\x00\x03\x80\xe0b"
		sound    = "$\x02\x00\x03\x80\x08c"
		report   = "$\x01\x00\x03\x80\xc8d"
		response = "RTSP/1.0 200 OK\r\n\r\n"
	)
	for _, test := range []struct{ in, want []string }{
		{[]string{first, first, last}, []string{first + first + last}},
		{[]string{last, sound, report, response}, []string{last, sound, report, response}},
		{[]string{first, response, last}, []string{first + response, last}}, // a pause inside a picture
	} {
		w := &writes{}
		c := &conn{Conn: w}
		for _, b := range test.in {
			if n, err := c.Write([]byte(b)); n != len(b) || err != nil {
				t.Fatal(n, err)
			}
		}
		if !slices.Equal(w.calls, test.want) {
			t.Errorf("%q is written as %q, want %q", test.in, w.calls, test.want)
		}
	}

	// A picture without end is not kept without end.
	c := &conn{Conn: &writes{}}
	packet := append([]byte(first), bytes.Repeat([]byte{'x'}, 1000)...)
	for range 1000 {
		c.Write(packet) //nolint:errcheck // writes has no errors
	}
	if len(c.held) > maxHeld {
		t.Errorf("%d bytes are held, want at most %d", len(c.held), maxHeld)
	}
}
