package jt808

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/iotest"

	"multi_process_server/pkg/jt1078"
)

func sim(t testing.TB, s string) jt1078.SIM {
	t.Helper()
	v, err := jt1078.ParseSIM(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type frameCase struct {
	name    string
	hex     string
	message Message
}

// frameCases are read for decoding, for encoding and as fuzz seeds.
func frameCases(t testing.TB) []frameCase {
	return []frameCase{
		{
			"heartbeat 2013", "7e 0002 0000 064959409438 7fff 78 7e",
			Message{Header: Header{ID: IDHeartbeat, Version: Version2013, SIM: sim(t, "064959409438"), Serial: 0x7fff}},
		},
		{
			"heartbeat 2019", "7e 0002 4000 01 00000000064959409438 0001 b8 7e",
			Message{Header: Header{
				ID: IDHeartbeat, Version: Version2019, ProtocolVersion: 1, SIM: sim(t, "064959409438"), Serial: 1,
			}},
		},
		{
			"long SIM", "7e 0002 4000 01 12345678901234567890 0001 42 7e",
			Message{Header: Header{
				ID: IDHeartbeat, Version: Version2019, ProtocolVersion: 1, SIM: sim(t, "12345678901234567890"), Serial: 1,
			}},
		},
		{
			"escapes", "7e 0102 0003 064959409438 7d027d01 307d027d01 ca 7e",
			Message{
				Header: Header{ID: IDAuthenticate, Version: Version2013, SIM: sim(t, "064959409438"), Serial: 0x7e7d},
				Body:   []byte{0x30, 0x7e, 0x7d},
			},
		},
		{
			"sub-package", "7e 0704 2002 013912345678 0009 0003 0002 aabb 08 7e",
			Message{
				Header: Header{
					ID: IDLocationBatch, Version: Version2013, SIM: sim(t, "013912345678"), Serial: 9, Total: 3, Number: 2,
				},
				Body: []byte{0xaa, 0xbb},
			},
		},
		{
			"encrypted", "7e 0200 0401 013912345678 0009 aa 94 7e",
			Message{
				Header: Header{ID: IDLocation, Version: Version2013, Encryption: 1, SIM: sim(t, "013912345678"), Serial: 9},
				Body:   []byte{0xaa},
			},
		},
	}
}

// seal puts a right checksum and flags around an unescaped message.
func seal(b []byte) []byte {
	b = append([]byte{flag}, b...)
	return append(escape(append(b, checksum(b[1:])), 1), flag)
}

func TestFrameRead(t *testing.T) {
	for _, c := range frameCases(t) {
		t.Run(c.name, func(t *testing.T) {
			var got Message
			if err := NewReader(bytes.NewReader(unhex(t, c.hex))).Read(&got); err != nil {
				t.Fatal(err)
			}
			if got.Header != c.message.Header || !bytes.Equal(got.Body, c.message.Body) {
				t.Fatalf("got  %+v\nwant %+v", got, c.message)
			}
		})
	}
}

func TestFrameAppend(t *testing.T) {
	for _, c := range frameCases(t) {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.message.Append([]byte{flag, escapeByte})
			if err != nil {
				t.Fatal(err)
			}
			if want := append([]byte{flag, escapeByte}, unhex(t, c.hex)...); !bytes.Equal(got, want) {
				t.Fatalf("got  %x\nwant %x", got, want)
			}
		})
	}
}

func TestAppendBody(t *testing.T) {
	h := Header{Version: Version2013, SIM: sim(t, "064959409438"), Serial: 5}
	body := &LiveControl{Channel: 3, Stream: StreamSub}
	got, err := Append(nil, h, body)
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "7e 9102 0004 064959409438 0005 03000001 6a 7e")
	if !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x", got, want)
	}
}

func TestAppendRefused(t *testing.T) {
	long := sim(t, "12345678901234567890")
	for _, c := range []struct {
		h    Header
		body Body
		want error
	}{
		{Header{Version: Version2013, SIM: long}, &Heartbeat{}, ErrSIMTooLong},
		{Header{Version: Version2019}, &Location{Items: make([]byte, MaxBody)}, ErrBodyTooLong},
		{Header{Version: Version2019}, &LiveStart{Host: string(make([]byte, 300))}, ErrField},
	} {
		got, err := Append([]byte("kept"), c.h, c.body)
		if !errors.Is(err, c.want) || string(got) != "kept" {
			t.Errorf("got %q, %v; want %v", got, err, c.want)
		}
	}
	if _, _, err := AppendSplit(nil, Header{Version: Version2013}, make([]byte, 0x10000), 1); !errors.Is(err, ErrBodyTooLong) {
		t.Error(err)
	}
}

func TestReaderSkipsBadFrames(t *testing.T) {
	good := unhex(t, "7e 0002 0000 064959409438 7fff 78 7e")
	for _, c := range []struct {
		name string
		bad  []byte
		want FrameError
	}{
		{"noise", []byte("GET / HTTP/1.1\r\n\r\n"), FrameChecksum},
		{"checksum", unhex(t, "7e 0002 0000 064959409438 7fff 79 7e"), FrameChecksum},
		{"escape", unhex(t, "7e 0002 7d00 064959409438 7fff 78 7e"), FrameEscape},
		{"too short", unhex(t, "7e 00 7e"), FrameLength},
		{"2013 header cut", seal(unhex(t, "0002 0000 0649594094")), FrameLength},
		{"2019 header cut", seal(unhex(t, "0002 4000 01 000000000649")), FrameLength},
		{"split header cut", seal(unhex(t, "0002 2000 064959409438 7fff 00")), FrameLength},
		{"length lies", seal(unhex(t, "0002 0001 064959409438 7fff")), FrameLength},
		{"number 0", seal(unhex(t, "0002 2000 064959409438 7fff 0001 0000")), FrameSplit},
		{"number above total", seal(unhex(t, "0002 2000 064959409438 7fff 0001 0002")), FrameSplit},
		{"escaped to too long", seal(make([]byte, maxMessage+1)), FrameTooLong},
		{"no flag for long", append([]byte{flag}, make([]byte, 10*maxFrame)...), FrameTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			stream := append(bytes.Clone(c.bad), good...)
			// Also where every read brings one byte.
			for _, in := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
				r := NewReader(in)
				var m Message
				if err := r.Read(&m); !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
				if err := r.Read(&m); err != nil || m.Header.ID != IDHeartbeat {
					t.Fatalf("behind the bad frame: %v %+v", err, m)
				}
				if err := r.Read(&m); !errors.Is(err, io.EOF) {
					t.Fatalf("at the end: %v", err)
				}
			}
		})
	}
}

func TestReaderBorders(t *testing.T) {
	const heartbeat = "0002 0000 064959409438 7fff 78"
	for name, in := range map[string]string{
		"glued":                 "7e" + heartbeat + "7e7e" + heartbeat + "7e",
		"shared flag":           "7e" + heartbeat + "7e" + heartbeat + "7e",
		"idle flags":            "7e7e7e7e" + heartbeat + "7e7e7e7e" + heartbeat + "7e",
		"first flag lost":       heartbeat + "7e7e" + heartbeat + "7e",
		"checksum not escaped":  "7e 0002 0000 064959409438 7ffa 7d 7e7e" + heartbeat + "7e",
		"cut frame at the end":  "7e" + heartbeat + "7e7e" + heartbeat + "7e7e0002",
		"nothing behind a flag": "7e" + heartbeat + "7e7e" + heartbeat + "7e7e",
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(iotest.HalfReader(bytes.NewReader(unhex(t, in))))
			var m Message
			for range 2 {
				if err := r.Read(&m); err != nil || m.Header.ID != IDHeartbeat || m.Header.SIM != sim(t, "064959409438") {
					t.Fatalf("%v %+v", err, m)
				}
			}
			if err := r.Read(&m); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		})
	}
}

// The longest message there can be, every byte of it escaped.
func TestReaderLongestFrame(t *testing.T) {
	want := Message{
		Header: Header{
			ID: 0x7e7e, Version: Version2019, ProtocolVersion: 0x7d, SIM: jt1078.SIMFromBytes(bytes.Repeat([]byte{0x7e}, 10)),
			Serial: 0x7d7d, Total: 0x7e7e, Number: 0x7d7d,
		},
		Body: bytes.Repeat([]byte{0x7d}, MaxBody),
	}
	stream, err := want.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if stream, err = want.Append(stream); err != nil {
		t.Fatal(err)
	}
	r := NewReader(bytes.NewReader(stream))
	for range 2 {
		var got Message
		if err := r.Read(&got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v", got.Header)
		}
	}
	if len(r.buf) > maxFrame+1 {
		t.Fatalf("the buffer grew to %d", len(r.buf))
	}
}

func TestReaderStreamErrors(t *testing.T) {
	var m Message
	if err := NewReader(iotest.ErrReader(io.ErrClosedPipe)).Read(&m); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if err := NewReader(idleReader{}).Read(&m); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

func TestReaderAllocations(t *testing.T) {
	location := Location{Items: make([]byte, 40)}
	stream, err := Append(nil, Header{Version: Version2013, SIM: sim(t, "064959409438")}, &location)
	if err != nil {
		t.Fatal(err)
	}
	in := bytes.NewReader(nil)
	r := NewReader(in)
	var m Message
	if n := testing.AllocsPerRun(100, func() {
		in.Reset(stream)
		if err := r.Read(&m); err != nil {
			t.Fatal(err)
		}
		if err := location.Unmarshal(m.Body, m.Header.Version); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations a message", n)
	}
}

// FuzzReader: any stream, however it is cut into reads, gives the same messages, and each of them can be written and
// reads the same again.
func FuzzReader(f *testing.F) {
	all := make([]byte, 0, 512)
	for _, c := range frameCases(f) {
		b := unhex(f, c.hex)
		f.Add(b, uint64(1))
		all = append(all, b...)
	}
	f.Add(all, uint64(2))
	f.Add(seal(make([]byte, maxMessage+1)), uint64(3))
	f.Add(append([]byte{flag}, make([]byte, 2*maxFrame)...), uint64(4))
	f.Fuzz(func(t *testing.T, stream []byte, random uint64) {
		whole := readAll(t, bytes.NewReader(stream))
		cut := readAll(t, &cutReader{stream, rand.New(rand.NewPCG(random, 0))})
		if !reflect.DeepEqual(whole, cut) {
			t.Fatalf("read at once %+v\nread in pieces %+v", whole, cut)
		}
		for _, m := range whole {
			b, err := m.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if again := readAll(t, bytes.NewReader(b)); len(again) != 1 || !reflect.DeepEqual(again[0], m) {
				t.Fatalf("first %+v\nthen  %+v", m, again)
			}
		}
	})
}

func readAll(t testing.TB, in io.Reader) (messages []Message) {
	r := NewReader(in)
	for {
		var m Message
		err := r.Read(&m)
		var bad FrameError
		switch {
		case errors.Is(err, io.EOF):
			return messages
		case errors.As(err, &bad):
		case err != nil:
			t.Fatal(err)
		default:
			m.Body = bytes.Clone(m.Body)
			messages = append(messages, m)
		}
		if len(r.buf) > maxFrame+1 {
			t.Fatalf("the buffer grew to %d", len(r.buf))
		}
	}
}

// cutReader returns its bytes in pieces of random length.
type cutReader struct {
	b      []byte
	random *rand.Rand
}

func (r *cutReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[:min(len(r.b), 1+r.random.IntN(700))])
	r.b = r.b[n:]
	return n, nil
}
