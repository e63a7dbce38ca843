package jt808

import (
	"bytes"
	"testing"
)

func benchmarkLocation(b *testing.B) []byte {
	stream, err := Append(nil, Header{Version: Version2013, SIM: sim(b, "064959409438")}, &Location{
		Status: StatusPositioned, Latitude: 22521512, Longitude: 113924720, Items: make([]byte, 40),
	})
	if err != nil {
		b.Fatal(err)
	}
	return stream
}

// One location report: frame, header and body.
func BenchmarkReadLocation(b *testing.B) {
	stream := benchmarkLocation(b)
	in := bytes.NewReader(nil)
	r := NewReader(in)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(stream)
		var m Message
		if err := r.Read(&m); err != nil {
			b.Fatal(err)
		}
		var location Location
		if err := location.Unmarshal(m.Body, m.Header.Version); err != nil {
			b.Fatal(err)
		}
	}
}

// One general reply, as the gateway answers a location report.
func BenchmarkAppendReply(b *testing.B) {
	h := Header{Version: Version2013, SIM: sim(b, "064959409438")}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = Append(buf[:0], h, &PlatformReply{Serial: 7, To: IDLocation}); err != nil {
			b.Fatal(err)
		}
	}
}
