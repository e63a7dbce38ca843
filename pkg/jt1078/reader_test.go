package jt1078

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"
)

// chunks is a source that gives one piece a read, then its error.
type chunks struct {
	pieces [][]byte
	err    error
}

var errDry = errors.New("the reader waits for more")

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.pieces) == 0 {
		if c.err == nil {
			return 0, io.EOF
		}
		return 0, c.err
	}
	n := copy(b, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

// cut makes pieces of the given sizes, the last one over and over.
func cut(b []byte, sizes ...int) *chunks {
	c := &chunks{}
	for i := 0; len(b) > 0; i++ {
		n := min(sizes[min(i, len(sizes)-1)], len(b))
		c.pieces = append(c.pieces, b[:n])
		b = b[n:]
	}
	return c
}

// cutAtRandom makes pieces of 1 to longest bytes.
func cutAtRandom(b []byte, random *rand.Rand, longest int) *chunks {
	c := &chunks{}
	for len(b) > 0 {
		n := min(1+random.IntN(longest), len(b))
		c.pieces = append(c.pieces, b[:n])
		b = b[n:]
	}
	return c
}

// readAll returns copies of all packets, and fails on any error but io.EOF.
func readAll(t testing.TB, r *Reader) []Packet {
	t.Helper()
	packets, err := readUntilError(r)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("after %d packets: %v", len(packets), err)
	}
	return packets
}

func readUntilError(r *Reader) (packets []Packet, err error) {
	for {
		var p Packet
		if err := r.Read(&p); err != nil {
			return packets, err
		}
		p.Body = append([]byte{}, p.Body...)
		packets = append(packets, p)
	}
}

// streamOf is the wire form of all cases with the given length of SIM, and the packets.
func streamOf(format SIMFormat) (wire []byte, packets []Packet) {
	for _, ca := range casesPacket {
		if ca.packet.format() == format {
			wire = append(wire, ca.wire...)
			packets = append(packets, ca.packet)
		}
	}
	return wire, packets
}

// talkative is a stream as of a vehicle: n packets of two channels, picture and sound, with full-sized bodies among
// small ones. ends tells where each packet ends.
func talkative(n int, long bool) (wire []byte, packets []Packet, ends []int) {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		p := Packet{
			PayloadType: PayloadH264, Sequence: uint16(i), SIM: simShort, LongSIM: long, Channel: uint8(1 + i%2),
			DataType: DataP, Timestamp: 1700000000000 + uint64(i)*20, LastFrameInterval: 20, Body: make([]byte, 1+random.IntN(200)),
		}
		for j := range p.Body {
			p.Body[j] = byte(random.Uint32())
		}
		switch i % 4 {
		case 2:
			p.PayloadType, p.DataType, p.LastFrameInterval = PayloadG711A, DataAudio, 0
		case 3:
			p.Subpackage = SubpackageMiddle
		default:
			p.Body = append([]byte("\x00\x00\x00\x01\x61"), p.Body...)
		}
		wire = p.append(wire)
		packets = append(packets, p)
		ends = append(ends, len(wire))
	}
	return wire, packets, ends
}

// Item 19, first half: split and glued reads change nothing.
func TestReaderAnySplit(t *testing.T) {
	for _, format := range []SIMFormat{SIMFormat6, SIMFormat10} {
		wire, want := streamOf(format)
		for _, configured := range []SIMFormat{SIMFormatAuto, format} {
			check := func(how string, source io.Reader) {
				t.Helper()
				r := NewReader(source, ReaderOptions{SIMFormat: configured})
				if got := readAll(t, r); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s: got %d packets, want %d", how, len(got), len(want))
				}
				if r.SIMFormat() != format {
					t.Fatalf("%s: format %d", how, r.SIMFormat())
				}
				if got := r.Stats(); got != (ReaderStats{Packets: uint64(len(want)), Bytes: uint64(len(wire))}) {
					t.Fatalf("%s: %+v", how, got)
				}
			}
			check("at once", bytes.NewReader(wire))
			check("byte by byte", iotest.OneByteReader(bytes.NewReader(wire)))
			check("error with the last bytes", iotest.DataErrReader(bytes.NewReader(wire)))
			for at := 1; at < len(wire); at += 1 + at/500 {
				check(fmt.Sprintf("cut at %d", at), cut(wire, at, len(wire)))
			}
		}
	}
}

// A packet is given out as soon as its last byte is there, the first of a connection too.
func TestReaderDoesNotWait(t *testing.T) {
	for _, ca := range casesPacket {
		for name, pieces := range map[string][][]byte{
			"alone":     {ca.wire},
			"in pieces": {ca.wire[:3], ca.wire[3:17], ca.wire[17:]},
		} {
			r := NewReader(&chunks{pieces: pieces, err: errDry}, ReaderOptions{})
			var p Packet
			if err := r.Read(&p); err != nil {
				t.Fatalf("%s, %s: %v", ca.name, name, err)
			}
			if !reflect.DeepEqual(p, ca.packet) {
				t.Fatalf("%s, %s: %+v", ca.name, name, p)
			}
			if err := r.Read(&p); !errors.Is(err, errDry) {
				t.Fatalf("%s, %s: then %v", ca.name, name, err)
			}
		}
	}
	// In mid-stream, whatever the last bytes of the body are.
	wire, packets, _ := talkative(3, false)
	for _, tail := range []string{"0", "01", "01c", "\x30\x31\x63\x63"} {
		p := packets[2]
		p.Body = append(bytes.Clone(p.Body), tail...)
		r := NewReader(&chunks{pieces: [][]byte{p.append(bytes.Clone(wire))}, err: errDry}, ReaderOptions{})
		if got, err := readUntilError(r); len(got) != 4 || !errors.Is(err, errDry) {
			t.Errorf("body ends in %q: %d packets, %v", tail, len(got), err)
		}
	}
}

// One wake of the connection costs one read, however many packets it brings.
func TestReaderReadsOncePerWake(t *testing.T) {
	wire, packets, _ := talkative(40, false)
	source := &chunks{pieces: [][]byte{wire[:len(wire)/2], wire[len(wire)/2:]}}
	reads := 0
	r := NewReader(readerFunc(func(b []byte) (int, error) {
		reads++
		if len(b) < DefaultBufferSize-1200 {
			t.Errorf("read of at most %d bytes", len(b))
		}
		return source.Read(b)
	}), ReaderOptions{})
	if got := readAll(t, r); len(got) != len(packets) || reads != 3 {
		t.Fatalf("%d packets in %d reads", len(got), reads)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Item 19, second half: garbage anywhere between packets costs no packet.
func TestReaderGarbage(t *testing.T) {
	for name, garbage := range map[string]string{
		"a byte":                   "\x00",
		"the magic's first byte":   "0",
		"the magic's first three":  "01c",
		"the magic":                "01cd",
		"the magic twice":          "01cd01cd",
		"the magic and the flags":  "01cd\x81",
		"the magic in text":        "GET /01cd HTTP/1.1\r\n\r\n",
		"a header with channel 0":  "01cd\x81\x62\x00\x01\x06\x49\x59\x40\x94\x38\x00\x01\x00\x00\x01\x8b\xcf\xe5\x68\x00",
		"half a header":            "01cd\x81\x62\x00\x01\x06\x49\x59\x40\x94\x38\x03\x01\x00\x00",
		"a JT/T 808 frame":         "\x7e\x00\x02\x00\x00\x01\x39\x12\x34\x56\x78\x00\x01\x5a\x7e",
		"more than the buffer":     string(bytes.Repeat([]byte("0123456789"), 300)),
		"a header that lies: 65 k": "01cd\x81\x62\x00\x01\x06\x49\x59\x40\x94\x38\x03\x01\x00\x00\x01\x8b\xcf\xe5\x68\x00\x00\x00\x00\x00\xff\xff",
		"a header that lies: 900":  "01cd\x81\x62\x00\x01\x06\x49\x59\x40\x94\x38\x03\x01\x00\x00\x01\x8b\xcf\xe5\x68\x00\x00\x00\x00\x00\x03\x84",
	} {
		for _, long := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, long %v", name, long), func(t *testing.T) {
				_, want, _ := talkative(12, long)
				var wire []byte
				for i := range want {
					wire = append(want[i].append(wire), garbage...)
				}
				wire = append([]byte(garbage), wire...)
				for _, size := range []int{len(wire), 1, 7, 1000} {
					r := NewReader(cut(wire, size), ReaderOptions{BufferSize: minBufferSize})
					if got := readAll(t, r); !reflect.DeepEqual(got, want) {
						t.Fatalf("pieces of %d: got %d packets, want %d", size, len(got), len(want))
					}
					stats := r.Stats()
					if skipped := (len(want) + 1) * len(garbage); int(stats.SkippedBytes) != skipped {
						t.Fatalf("pieces of %d: skipped %d, want %d", size, stats.SkippedBytes, skipped)
					}
					if int(stats.Resyncs) != len(want)+1 || stats.Bytes+stats.SkippedBytes != uint64(len(wire)) {
						t.Fatalf("pieces of %d: %+v", size, stats)
					}
				}
			})
		}
	}
}

// The magic inside a body is nothing special, nor is a whole packet, as long as another follows where it must.
func TestReaderMagicInBody(t *testing.T) {
	inner := casesPacket[0].wire
	for name, body := range map[string][]byte{
		"the magic":    []byte("01cd"),
		"at the end":   []byte("\x00\x00\x00\x01\x6501cd"),
		"many":         bytes.Repeat([]byte("01cd"), 200),
		"with flags":   bytes.Repeat([]byte("01cd\x81"), 100),
		"a packet":     append(append([]byte("\x00\x00\x00\x01\x65"), inner...), inner...),
		"half of one":  append([]byte("\x00\x00\x00\x01\x65"), inner[:20]...),
		"a long frame": bytes.Repeat([]byte("01cd...."), 1000),
	} {
		_, want, _ := talkative(6, false)
		want[1].Body, want[3].Body, want[5].Body = body, body, body
		var wire []byte
		for i := range want {
			wire = want[i].append(wire)
		}
		for _, size := range []int{len(wire), 1, 100} {
			r := NewReader(cut(wire, size), ReaderOptions{})
			if got := readAll(t, r); !reflect.DeepEqual(got, want) || r.Stats().SkippedBytes != 0 {
				t.Errorf("%s, pieces of %d: got %d packets, %+v", name, size, len(got), r.Stats())
			}
		}
	}
}

// Bytes missing anywhere in a packet cost that packet and no other, and how the reads are split does not matter.
func TestReaderBytesMissing(t *testing.T) {
	for _, long := range []bool{false, true} {
		wire, packets, ends := talkative(8, long)
		r := NewReader(nil, ReaderOptions{})
		const damaged = 3
		from, to := ends[damaged-1], ends[damaged]
		for first := from; first < to; first += 1 + (first-from)/50 {
			for last := first + 1; last <= to; last += 1 + (last-first)/12 {
				broken := append(bytes.Clone(wire[:first]), wire[last:]...)
				if _, total := measure(broken[from:], packets[0].format().shift()); slices.Contains(ends[damaged+1:], from+total+last-first) {
					continue // what became the length leads, by chance, to the end of another packet
				}
				r.Reset(bytes.NewReader(broken))
				got := readAll(t, r)
				want := append(append([]Packet{}, packets[:damaged]...), packets[damaged+1:]...)
				if missing := firstMissing(got, want); missing >= 0 {
					t.Fatalf("without bytes %d to %d of %d: undamaged packet %d is missing",
						first-from, last-from, to-from, missing)
				}
				if stats := r.Stats(); stats.Bytes+stats.SkippedBytes != uint64(len(broken)) {
					t.Fatalf("without bytes %d to %d: %+v of %d bytes", first-from, last-from, stats, len(broken))
				}
				if first%8 == 0 {
					r.Reset(iotest.OneByteReader(bytes.NewReader(broken)))
					split := readAll(t, r)
					if !reflect.DeepEqual(split, got) {
						t.Fatalf("without bytes %d to %d: byte by byte %d packets, at once %d",
							first-from, last-from, len(split), len(got))
					}
				}
			}
		}
	}
}

// firstMissing is the index of the first packet of want that is not in got, in order; -1 if all are.
func firstMissing(got, want []Packet) int {
	i := 0
	for _, p := range got {
		if i < len(want) && p.Sequence == want[i].Sequence && reflect.DeepEqual(p, want[i]) {
			i++
		}
	}
	if i == len(want) {
		return -1
	}
	return i
}

// Bytes too many inside a packet, bytes that are wrong: the packets around it are all there.
func TestReaderBytesTooManyOrWrong(t *testing.T) {
	wire, packets, ends := talkative(8, false)
	random := rand.New(rand.NewPCG(3, 4))
	const damaged = 3
	want := append(append([]Packet{}, packets[:damaged]...), packets[damaged+1:]...)
	for at := ends[damaged-1]; at < ends[damaged]; at++ {
		for _, more := range []int{1, 4, 30, 500} {
			extra := make([]byte, more)
			for i := range extra {
				extra[i] = byte(random.Uint32())
			}
			broken := append(append(bytes.Clone(wire[:at]), extra...), wire[at:]...)
			if missing := firstMissing(readAll(t, NewReader(bytes.NewReader(broken), ReaderOptions{})), want); missing >= 0 {
				t.Fatalf("%d more bytes at %d: undamaged packet %d is missing", more, at-ends[damaged-1], missing)
			}
		}
		wrong := bytes.Clone(wire)
		wrong[at] ^= byte(1 + random.IntN(255))
		if missing := firstMissing(readAll(t, NewReader(bytes.NewReader(wrong), ReaderOptions{})), want); missing >= 0 {
			t.Fatalf("byte %d wrong: undamaged packet %d is missing", at-ends[damaged-1], missing)
		}
	}
}

// A length that lies does not hold the stream up until that many bytes have come.
func TestReaderLyingLengthDoesNotStall(t *testing.T) {
	_, packets, _ := talkative(6, false)
	wire := packets[0].append(nil)
	wire = packets[1].append(wire)
	liar := packets[2].append(nil)
	liar[28], liar[29] = 0xff, 0xf0 // audio has its length at 24: packet 2 is audio
	liar[24], liar[25] = 0xff, 0xf0
	wire = append(wire, liar...)
	for _, p := range packets[3:] {
		wire = p.append(wire)
	}
	for _, size := range []int{len(wire), 1, 33} {
		source := cut(wire, size)
		source.err = errDry
		got, err := readUntilError(NewReader(source, ReaderOptions{}))
		if !errors.Is(err, errDry) || len(got) != 5 || !reflect.DeepEqual(got[2:], packets[3:]) {
			t.Errorf("pieces of %d: %d packets, %v", size, len(got), err)
		}
	}
}

// Item 11: any body that the length field can say.
func TestReaderLongestBody(t *testing.T) {
	want := []Packet{
		{PayloadType: PayloadH264, SIM: simShort, Channel: 1, Body: []byte("\x00\x00\x00\x01\x67")},
		{PayloadType: PayloadH264, Sequence: 1, SIM: simShort, Channel: 1, Body: bytes.Repeat([]byte{0xa5}, 65535)},
		{PayloadType: PayloadH264, Sequence: 2, SIM: simShort, Channel: 1, Body: []byte("\x00\x00\x00\x01\x61")},
	}
	var wire []byte
	for i := range want {
		wire = want[i].append(wire)
	}
	for _, options := range []ReaderOptions{{}, {BufferSize: 1}, {BufferSize: 1 << 20}} {
		for _, size := range []int{1, 1000, len(wire)} {
			r := NewReader(cut(wire, size), options)
			if got := readAll(t, r); !reflect.DeepEqual(got, want) || r.Stats().SkippedBytes != 0 {
				t.Errorf("%+v, pieces of %d: %d packets, %+v", options, size, len(got), r.Stats())
			}
		}
	}
}

// Item 20: an alarm attachment upload is recognised, after the JT/T 808 messages that announce it too.
func TestReaderAlarmAttachment(t *testing.T) {
	name := "00_65_6501_0_b5f3c8a1e2d34f56a7b8c9d0e1f20314.jpg"
	chunk := append([]byte("01cd"+name), make([]byte, 50-len(name))...)
	chunk = append(chunk, 0, 0, 0, 0, 0, 0, 0x10, 0)
	chunk = append(chunk, make([]byte, 4096)...)
	announced := append([]byte("\x7e\x12\x10\x00\x26\x01\x39\x12\x34\x56\x78\x00\x01 and so on\x7e"), chunk...)
	for how, wire := range map[string][]byte{"at once": chunk, "announced": announced} {
		for _, size := range []int{len(wire), 1, 13} {
			source := cut(wire, size)
			source.err = errDry
			r := NewReader(source, ReaderOptions{})
			for range 2 {
				if got, err := readUntilError(r); !errors.Is(err, ErrAlarmAttachment) || len(got) != 0 {
					t.Errorf("%s, pieces of %d: %d packets, %v", how, size, len(got), err)
				}
			}
		}
	}

	// What looks like it behind a media packet is garbage.
	wire, packets, _ := talkative(2, false)
	wire = append(append(bytes.Clone(wire), chunk...), wire...)
	if got := readAll(t, NewReader(bytes.NewReader(wire), ReaderOptions{})); len(got) != 2*len(packets) {
		t.Errorf("in mid-stream: %d packets", len(got))
	}

	// These are no file names.
	for _, wire := range []string{
		"01cd", "01cdname", "01cd" + string(make([]byte, 60)), "01cdabc" + string(make([]byte, 60)),
		"01cdname with blanks" + string(make([]byte, 60)), "01cdname\x00name" + string(make([]byte, 60)),
	} {
		if _, err := readUntilError(NewReader(bytes.NewReader([]byte(wire)), ReaderOptions{})); !errors.Is(err, io.EOF) {
			t.Errorf("%q: %v", wire, err)
		}
	}
}

// Item 21: once two packets in a row agree, the SIM's length stays, whatever the packets look like.
func TestReaderLocksSIMFormat(t *testing.T) {
	short := bin(`30316364 81 62 0001  013912345678 01 00  0000018bcfe56800 0028 0028 0006  000000016742`)
	// Alone, it would be taken for a ten-byte SIM: eight zeros lead, and what would be its body begins a NAL unit.
	looksLong := bin(`30316364 81 62 0002  000000001234 01 01  00000100000000 00 0000 0000 0006  000000016742`)
	if DetectSIMFormat(short) != SIMFormat6 {
		t.Fatal("the first packet is not what this test needs")
	}
	wire := append(append(bytes.Clone(short), short...), looksLong...)
	r := NewReader(bytes.NewReader(wire), ReaderOptions{})
	got := readAll(t, r)
	if len(got) != 3 || got[2].LongSIM || got[2].SIM.String() != "000000001234" || r.SIMFormat() != SIMFormat6 {
		t.Fatalf("got %+v", got)
	}
}

// A wrong first guess is made good: the connection is not lost to it.
func TestReaderUnlearnsSIMFormat(t *testing.T) {
	_, packets, _ := talkative(12, true)
	var wire []byte
	for i := range packets {
		wire = packets[i].append(wire)
	}
	// One packet with a six-byte SIM in front, as if the format had been misread.
	odd := casesPacket[0]
	r := NewReader(bytes.NewReader(append(bytes.Clone(odd.wire), wire...)), ReaderOptions{})
	got := readAll(t, r)
	if len(got) != 13 || !reflect.DeepEqual(got[1:], packets) || r.SIMFormat() != SIMFormat10 {
		t.Fatalf("%d packets, format %d, %+v", len(got), r.SIMFormat(), r.Stats())
	}
}

// Item 24: channels are told apart by the packet, not by the connection.
func TestReaderSeveralChannels(t *testing.T) {
	wire, packets, _ := talkative(10, false)
	count := map[StreamID]int{}
	for _, p := range readAll(t, NewReader(bytes.NewReader(wire), ReaderOptions{})) {
		count[p.ID()]++
	}
	want := map[StreamID]int{{SIM: simShort, Channel: 1}: 5, {SIM: simShort, Channel: 2}: 5}
	if !reflect.DeepEqual(count, want) || len(packets) != 10 {
		t.Fatalf("got %v", count)
	}
}

func TestReaderErrors(t *testing.T) {
	wire, packets, ends := talkative(4, false)

	t.Run("a deadline passes and the reader goes on", func(t *testing.T) {
		pieces := [][]byte{wire[:ends[0]+10], nil, wire[ends[0]+10 : ends[2]], nil, wire[ends[2]:]}
		r := NewReader(readerFunc(func(b []byte) (int, error) {
			if len(pieces) == 0 {
				return 0, io.EOF
			}
			piece := pieces[0]
			pieces = pieces[1:]
			if piece == nil {
				return 0, os.ErrDeadlineExceeded
			}
			return copy(b, piece), nil
		}), ReaderOptions{})
		var got []Packet
		deadlines := 0
		for {
			more, err := readUntilError(r)
			got = append(got, more...)
			if errors.Is(err, io.EOF) {
				break
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			deadlines++
		}
		if deadlines != 2 || !reflect.DeepEqual(got, packets) {
			t.Fatalf("%d deadlines, %d packets", deadlines, len(got))
		}
	})

	t.Run("an error with the last bytes comes after their packets", func(t *testing.T) {
		done := false
		r := NewReader(readerFunc(func(b []byte) (int, error) {
			if done {
				return 0, io.EOF
			}
			done = true
			return copy(b, wire), io.ErrClosedPipe
		}), ReaderOptions{})
		if got, err := readUntilError(r); !errors.Is(err, io.ErrClosedPipe) || len(got) != len(packets) {
			t.Fatalf("%d packets, %v", len(got), err)
		}
	})

	t.Run("the end in the middle of a packet", func(t *testing.T) {
		for n := ends[2] + 1; n < ends[3]; n++ {
			r := NewReader(bytes.NewReader(wire[:n]), ReaderOptions{})
			if got := readAll(t, r); len(got) != 3 || int(r.Stats().SkippedBytes) != n-ends[2] {
				t.Fatalf("%d bytes: %d packets, %+v", n, len(got), r.Stats())
			}
			if err := r.Read(new(Packet)); !errors.Is(err, io.EOF) {
				t.Fatalf("then %v", err)
			}
		}
	})

	t.Run("a source that gives nothing", func(t *testing.T) {
		r := NewReader(readerFunc(func([]byte) (int, error) { return 0, nil }), ReaderOptions{})
		if err := r.Read(new(Packet)); !errors.Is(err, io.ErrNoProgress) {
			t.Fatal(err)
		}
	})
}

func TestReaderReset(t *testing.T) {
	short, _ := streamOf(SIMFormat6)
	long, want := streamOf(SIMFormat10)
	r := NewReader(bytes.NewReader(append(short, "garbage"...)), ReaderOptions{})
	readAll(t, r)
	r.Reset(bytes.NewReader(long))
	if r.SIMFormat() != SIMFormatAuto || r.Stats() != (ReaderStats{}) || r.Buffered() != 0 {
		t.Fatalf("after Reset: format %d, %+v", r.SIMFormat(), r.Stats())
	}
	if got := readAll(t, r); !reflect.DeepEqual(got, want) || r.SIMFormat() != SIMFormat10 {
		t.Fatalf("%d packets, format %d", len(got), r.SIMFormat())
	}
}

func TestReaderAssemblerDoNotAllocate(t *testing.T) {
	r := NewReader(&loop{stream: benchmarkStream()}, ReaderOptions{})
	a := NewAssembler(AssemblerOptions{})
	var p Packet
	turn := func() {
		for range 32 * 6 {
			if err := r.Read(&p); err != nil {
				t.Fatal(err)
			}
			a.Push(&p)
		}
	}
	turn()
	if allocs := testing.AllocsPerRun(100, turn); allocs != 0 {
		t.Errorf("%.1f allocations per 192 packets", allocs)
	}
}
