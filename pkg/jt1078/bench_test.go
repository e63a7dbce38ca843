package jt1078

import (
	"encoding/binary"
	"testing"
)

// benchmarkStream is a second of a sub-stream and a little more: 32 frames of 5.7 kB, a start code in front, in six
// packets of 950 bytes each.
func benchmarkStream() (stream []byte) {
	frame := make([]byte, 6*MaxStandardBody)
	for i := range frame {
		frame[i] = byte(i*7 + i>>8)
	}
	copy(frame, "\x00\x00\x00\x01\x61")
	z := NewPacketizer(SIM{4: 0x06, 5: 0x49, 6: 0x59, 7: 0x40, 8: 0x94, 9: 0x38}, 3, PacketizerOptions{})
	for i := range 32 {
		stream = z.AppendFrame(stream, Frame{
			DataType: DataP, PayloadType: PayloadH264, Timestamp: 1_700_000_000_000 + uint64(i)*40, Data: frame,
		})
	}
	return stream
}

// loop gives the same bytes over and over, as much at a time as is asked for.
type loop struct{ stream, rest []byte }

func (l *loop) Read(b []byte) (int, error) {
	if len(l.rest) == 0 {
		l.rest = l.stream
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// BenchmarkLimit is what parsing cannot beat: it walks the headers and copies each body once, and checks nothing.
// One operation is one packet, here and below.
func BenchmarkLimit(b *testing.B) {
	stream := benchmarkStream()
	dst := make([]byte, 6*MaxStandardBody)
	b.SetBytes(int64(MaxStandardBody + 30))
	b.ReportAllocs()
	for i := 0; i < b.N; {
		filled := 0
		for at := 0; at < len(stream) && i < b.N; i++ {
			header := stream[at : at+30]
			size := int(binary.BigEndian.Uint16(header[28:]))
			switch header[15] & 0x0f {
			case 0, 1:
				filled = 0
			}
			filled += copy(dst[filled:], stream[at+30:at+30+size])
			at += 30 + size
		}
	}
}

// BenchmarkLimitRead is the same with the bytes read from a source first, in blocks as a Reader does.
func BenchmarkLimitRead(b *testing.B) {
	stream := benchmarkStream()
	source := &loop{stream: stream}
	buf := make([]byte, DefaultBufferSize)
	dst := make([]byte, 6*MaxStandardBody)
	b.SetBytes(int64(MaxStandardBody + 30))
	b.ReportAllocs()
	start, end, filled := 0, 0, 0
	for range b.N {
		if end-start < 980 {
			end = copy(buf, buf[start:end])
			start = 0
			n, err := source.Read(buf[end:])
			if end += n; err != nil {
				b.Fatal(err)
			}
		}
		header := buf[start : start+30]
		size := int(binary.BigEndian.Uint16(header[28:]))
		switch header[15] & 0x0f {
		case 0, 1:
			filled = 0
		}
		filled += copy(dst[filled:], buf[start+30:start+30+size])
		start += 30 + size
	}
}

func BenchmarkReader(b *testing.B) {
	stream := benchmarkStream()
	r := NewReader(&loop{stream: stream}, ReaderOptions{})
	var p Packet
	b.SetBytes(int64(MaxStandardBody + 30))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(&p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReaderAssembler(b *testing.B) {
	stream := benchmarkStream()
	r := NewReader(&loop{stream: stream}, ReaderOptions{})
	a := NewAssembler(AssemblerOptions{})
	var p Packet
	b.SetBytes(int64(MaxStandardBody + 30))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(&p); err != nil {
			b.Fatal(err)
		}
		a.Push(&p)
	}
}
