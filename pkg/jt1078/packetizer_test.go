package jt1078

import (
	"bytes"
	"reflect"
	"testing"
)

func TestPacketizer(t *testing.T) {
	z := NewPacketizer(simShort, 3, PacketizerOptions{MaxBody: 4})
	var wire []byte
	for _, f := range []Frame{
		{DataType: DataI, PayloadType: PayloadH264, Timestamp: 1000, Data: []byte("abcdefghij")},
		{DataType: DataAudio, PayloadType: PayloadG711A, Timestamp: 1010, Data: []byte("ABCD")},
		{DataType: DataP, PayloadType: PayloadH264, Timestamp: 1040, Data: []byte("klmno")},
		{DataType: DataP, PayloadType: PayloadH264, Timestamp: 1090, Data: []byte("p")},
		{DataType: DataPassthrough, PayloadType: PayloadPassthrough, Timestamp: 5, Data: []byte("data")},
		{DataType: DataI, PayloadType: PayloadH264, Timestamp: 100000, Data: nil},
		{DataType: DataP, PayloadType: PayloadH264, Timestamp: 50, Data: []byte("q")},
	} {
		wire = z.AppendFrame(wire, f)
	}
	want := bin(`
		30316364 81 62 0000 064959409438 03 01 00000000000003e8 0000 0000 0004 61626364
		30316364 81 62 0001 064959409438 03 03 00000000000003e8 0000 0000 0004 65666768
		30316364 81 e2 0002 064959409438 03 02 00000000000003e8 0000 0000 0002 696a
		30316364 81 86 0003 064959409438 03 30 00000000000003f2           0004 41424344
		30316364 81 62 0004 064959409438 03 11 0000000000000410 0028 0028 0004 6b6c6d6e
		30316364 81 e2 0005 064959409438 03 12 0000000000000410 0028 0028 0001 6f
		30316364 81 e2 0006 064959409438 03 10 0000000000000442 005a 0032 0001 70
		30316364 81 db 0007 064959409438 03 40                            0004 64617461
		30316364 81 e2 0008 064959409438 03 00 00000000000186a0 ffff ffff 0000
		30316364 81 e2 0009 064959409438 03 10 0000000000000032 0000 0000 0001 71`)
	if !bytes.Equal(wire, want) {
		t.Errorf("\n got %x\nwant %x", wire, want)
	}
}

func TestPacketizerTenByteSIM(t *testing.T) {
	f := Frame{DataType: DataAudio, PayloadType: PayloadG711U, Timestamp: 1, Data: []byte{0xff}}
	for want, z := range map[string]*Packetizer{
		`30316364 81 87 0000 00000861391234567890 01 30 0000000000000001 0001 ff`: NewPacketizer(simLong, 1, PacketizerOptions{}),
		`30316364 81 87 0000 00000000064959409438 01 30 0000000000000001 0001 ff`: NewPacketizer(simShort, 1, PacketizerOptions{LongSIM: true}),
	} {
		if got := z.AppendFrame(nil, f); !bytes.Equal(got, bin(want)) {
			t.Errorf("got %x, want %s", got, want)
		}
	}
}

func TestPacketizerBodiesOf950(t *testing.T) {
	for _, options := range []PacketizerOptions{{}, {MaxBody: -1}, {MaxBody: 65536}} {
		z := NewPacketizer(simShort, 1, options)
		wire := z.AppendFrame(nil, Frame{DataType: DataI, PayloadType: PayloadH264, Data: make([]byte, 950*2+1)})
		packets := readAll(t, NewReader(bytes.NewReader(wire), ReaderOptions{}))
		if len(packets) != 3 || len(packets[0].Body) != 950 || len(packets[1].Body) != 950 || len(packets[2].Body) != 1 {
			t.Errorf("%+v: %d packets", options, len(packets))
		}
	}
}

func TestPacketizerSeparateSequences(t *testing.T) {
	z := NewPacketizer(simShort, 1, PacketizerOptions{SeparateSequences: true, MaxBody: 1})
	var wire []byte
	for _, dataType := range []DataType{DataI, DataAudio, DataP, DataPassthrough, DataAudio} {
		wire = z.AppendFrame(wire, Frame{DataType: dataType, Data: []byte("ab")})
	}
	var numbers []uint16
	for _, p := range readAll(t, NewReader(bytes.NewReader(wire), ReaderOptions{})) {
		numbers = append(numbers, p.Sequence)
	}
	if want := []uint16{0, 1, 0, 1, 2, 3, 0, 1, 2, 3}; !reflect.DeepEqual(numbers, want) {
		t.Errorf("got %v", numbers)
	}
}

func TestPacketizerDoesNotAllocate(t *testing.T) {
	z := NewPacketizer(simShort, 1, PacketizerOptions{})
	f := Frame{DataType: DataP, PayloadType: PayloadH264, Data: make([]byte, 5700)}
	wire := z.AppendFrame(nil, f)
	if allocs := testing.AllocsPerRun(100, func() { wire = z.AppendFrame(wire[:0], f) }); allocs != 0 {
		t.Errorf("%.1f allocations a frame", allocs)
	}
}

// roundTrip sends frames over the wire and takes them together again.
func roundTrip(t testing.TB, frames []Frame, options PacketizerOptions, read ReaderOptions) (got []Frame) {
	t.Helper()
	z := NewPacketizer(simShort, 3, options)
	var wire []byte
	for _, f := range frames {
		wire = z.AppendFrame(wire, f)
	}
	r := NewReader(bytes.NewReader(wire), read)
	a := NewAssembler(AssemblerOptions{})
	var p Packet
	for r.Read(&p) == nil {
		if p.ID() != (StreamID{SIM: simShort, Channel: 3}) {
			t.Fatalf("packet of %s", p.ID())
		}
		if f, ok := a.Push(&p); ok {
			f.Data = bytes.Clone(f.Data)
			got = append(got, f)
		}
	}
	if stats := r.Stats(); stats.Bytes != uint64(len(wire)) || stats.SkippedBytes != 0 {
		t.Fatalf("of %d bytes: %+v", len(wire), stats)
	}
	return got
}

func TestRoundTrip(t *testing.T) {
	want := syntheticFrames(50)
	for _, options := range []PacketizerOptions{
		{}, {LongSIM: true}, {SeparateSequences: true}, {MaxBody: 100}, {MaxBody: 65535, LongSIM: true},
	} {
		if got := roundTrip(t, want, options, ReaderOptions{}); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %d frames, want %d", options, len(got), len(want))
		}
	}
}
