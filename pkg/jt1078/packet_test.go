package jt1078

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// bin reads hex digits with blanks between them.
func bin(text string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		panic(err)
	}
	return b
}

var (
	simShort = SIM{4: 0x06, 5: 0x49, 6: 0x59, 7: 0x40, 8: 0x94, 9: 0x38}
	simLong  = SIM{0x00, 0x00, 0x08, 0x61, 0x39, 0x12, 0x34, 0x56, 0x78, 0x90}
)

// casesPacket are written byte by byte from table 19.
var casesPacket = []struct {
	name   string
	wire   []byte
	packet Packet
}{
	{
		"video, first, six-byte SIM",
		bin(`30316364 81 62 0001  064959409438 03 01  0000018bcfe56800 0028 0029 0006  000000016742`),
		Packet{
			PayloadType: PayloadH264, Sequence: 1, SIM: simShort, Channel: 3, DataType: DataI, Subpackage: SubpackageFirst,
			Timestamp: 1700000000000, LastIFrameInterval: 40, LastFrameInterval: 41, Body: bin(`000000016742`),
		},
	},
	{
		"video, last, marker, ten-byte SIM",
		bin(`30316364 81 e3 ffff  00000861391234567890 40 12  0000018bcfe56828 07d0 0028 0003  aabbcc`),
		Packet{
			Marker: true, PayloadType: PayloadH265, Sequence: 65535, SIM: simLong, LongSIM: true, Channel: 64,
			DataType: DataP, Subpackage: SubpackageLast, Timestamp: 1700000000040, LastIFrameInterval: 2000,
			LastFrameInterval: 40, Body: bin(`aabbcc`),
		},
	},
	{
		"video, middle, twelve digits in ten bytes",
		bin(`30316364 81 62 1234  00000000064959409438 01 23  0000000000000000 0000 0000 0001  5a`),
		Packet{
			PayloadType: PayloadH264, Sequence: 0x1234, SIM: simShort, LongSIM: true, Channel: 1, DataType: DataB,
			Subpackage: SubpackageMiddle, Body: bin(`5a`),
		},
	},
	{
		"audio, six-byte SIM",
		bin(`30316364 81 86 0002  064959409438 03 30  0000018bcfe56810 0008  d5d5d5d5d5d5d5d5`),
		Packet{
			Marker: true, PayloadType: PayloadG711A, Sequence: 2, SIM: simShort, Channel: 3, DataType: DataAudio,
			Timestamp: 1700000000016, Body: bin(`d5d5d5d5d5d5d5d5`),
		},
	},
	{
		"audio, ten-byte SIM",
		bin(`30316364 81 1a 0003  00000861391234567890 01 30  0000018bcfe56810 0002  0001`),
		Packet{
			PayloadType: PayloadADPCMA, Sequence: 3, SIM: simLong, LongSIM: true, Channel: 1, DataType: DataAudio,
			Timestamp: 1700000000016, Body: bin(`0001`),
		},
	},
	{
		"passthrough without a timestamp, six-byte SIM", // item 16
		bin(`30316364 81 5b 0004  064959409438 03 40  0005  68656c6c6f`),
		Packet{
			PayloadType: PayloadPassthrough, Sequence: 4, SIM: simShort, Channel: 3, DataType: DataPassthrough,
			Body: []byte("hello"),
		},
	},
	{
		"passthrough without a timestamp, ten-byte SIM",
		bin(`30316364 81 5b 0005  00000861391234567890 02 40  0005  68656c6c6f`),
		Packet{
			PayloadType: PayloadPassthrough, Sequence: 5, SIM: simLong, LongSIM: true, Channel: 2,
			DataType: DataPassthrough, Body: []byte("hello"),
		},
	},
	{
		"body longer than the standard allows", // item 11
		append(bin(`30316364 81 62 0006  064959409438 03 00  0000018bcfe56800 0000 0000 1000`), make([]byte, 4096)...),
		Packet{
			PayloadType: PayloadH264, Sequence: 6, SIM: simShort, Channel: 3, Timestamp: 1700000000000,
			Body: make([]byte, 4096),
		},
	},
	{
		"empty body", // item 15
		bin(`30316364 81 62 0007  064959409438 03 11  0000018bcfe56800 0000 0000 0000`),
		Packet{
			PayloadType: PayloadH264, Sequence: 7, SIM: simShort, Channel: 3, DataType: DataP,
			Subpackage: SubpackageFirst, Timestamp: 1700000000000, Body: []byte{},
		},
	},
	{
		"SIM that is not BCD", // item 23
		bin(`30316364 81 06 0008  00033d4efa1e 01 30  0000018bcfe56800 0001 d5`),
		Packet{
			PayloadType: PayloadG711A, Sequence: 8, SIM: SIM{4: 0x00, 5: 0x03, 6: 0x3d, 7: 0x4e, 8: 0xfa, 9: 0x1e},
			Channel: 1, DataType: DataAudio, Timestamp: 1700000000000, Body: bin(`d5`),
		},
	},
}

func (p *Packet) format() SIMFormat {
	if p.LongSIM {
		return SIMFormat10
	}
	return SIMFormat6
}

func TestParsePacket(t *testing.T) {
	for _, ca := range casesPacket {
		for _, format := range []SIMFormat{SIMFormatAuto, ca.packet.format()} {
			// What p held before must not shine through.
			p := Packet{Marker: true, SIM: simLong, Timestamp: 1, LastIFrameInterval: 2, LastFrameInterval: 3, LongSIM: true}
			n, err := ParsePacket(ca.wire, format, &p)
			if err != nil || n != len(ca.wire) {
				t.Fatalf("%s, format %d: %d bytes of %d, %v", ca.name, format, n, len(ca.wire), err)
			}
			if !reflect.DeepEqual(p, ca.packet) {
				t.Errorf("%s, format %d:\n got %+v\nwant %+v", ca.name, format, p, ca.packet)
			}
		}
	}
}

func TestParsePacketTakesOnlyTheFirst(t *testing.T) {
	first, second := casesPacket[0], casesPacket[3]
	b := append(bytes.Clone(first.wire), second.wire...)
	var p Packet
	n, err := ParsePacket(b, SIMFormatAuto, &p)
	if err != nil || n != len(first.wire) || !reflect.DeepEqual(p, first.packet) {
		t.Fatalf("first: %d bytes, %v, %+v", n, err, p)
	}
	if cap(p.Body) != len(p.Body) {
		t.Error("appending to the body would write over the next packet")
	}
	if _, err = ParsePacket(b[n:], SIMFormatAuto, &p); err != nil || !reflect.DeepEqual(p, second.packet) {
		t.Fatalf("second: %v, %+v", err, p)
	}
}

func TestPacketAppend(t *testing.T) {
	for _, ca := range casesPacket {
		wire, err := ca.packet.Append([]byte("before"))
		if err != nil {
			t.Fatalf("%s: %v", ca.name, err)
		}
		if want := append([]byte("before"), ca.wire...); !bytes.Equal(wire, want) {
			t.Errorf("%s:\n got %x\nwant %x", ca.name, wire, want)
		}
	}
}

func TestPacketAppendRefuses(t *testing.T) {
	for want, p := range map[string]Packet{
		"65536 bytes":      {Channel: 1, Body: make([]byte, 65536)},
		"channel 0":        {},
		"channel 65":       {Channel: 65},
		"data type 5":      {Channel: 1, DataType: 5},
		"mark 4":           {Channel: 1, Subpackage: 4},
		"payload type 128": {Channel: 1, PayloadType: 128},
		"ten-byte":         {Channel: 1, SIM: simLong},
	} {
		wire, err := p.Append([]byte("before"))
		if err == nil || !strings.Contains(err.Error(), want) || string(wire) != "before" {
			t.Errorf("want %q, got %q, %v", want, wire, err)
		}
	}
}

func TestParsePacketRefuses(t *testing.T) {
	video := casesPacket[0].wire
	with := func(at int, value byte) []byte {
		b := bytes.Clone(video)
		b[at] = value
		return b
	}
	for name, ca := range map[string]struct {
		b    []byte
		want error
	}{
		"no magic":       {with(3, 0x65), ErrNotPacket},
		"version 1":      {with(4, 0x41), ErrNotPacket},
		"CC 2":           {with(4, 0x82), ErrNotPacket},
		"channel 0":      {with(14, 0), ErrNotPacket},
		"channel 65":     {with(14, 65), ErrNotPacket},
		"data type 5":    {with(15, 0x51), ErrNotPacket},
		"sub-package 4":  {with(15, 0x04), ErrNotPacket},
		"length too big": {with(29, 7), ErrTruncated},
		"text":           {[]byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"), ErrNotPacket},
	} {
		p := Packet{Sequence: 4711}
		n, err := ParsePacket(ca.b, SIMFormat6, &p)
		if !errors.Is(err, ca.want) || n != 0 || p.Sequence != 4711 {
			t.Errorf("%s: %d, %v, packet %+v; want %v", name, n, err, p, ca.want)
		}
	}
	if _, err := ParsePacket([]byte("no packet at all"), SIMFormatAuto, &Packet{}); !errors.Is(err, ErrNotPacket) {
		t.Errorf("without a format: %v", err)
	}
	for _, ca := range casesPacket {
		for n := range len(ca.wire) {
			var p Packet
			if _, err := ParsePacket(ca.wire[:n], ca.packet.format(), &p); !errors.Is(err, ErrTruncated) {
				t.Fatalf("%s: %d of %d bytes: %v, want ErrTruncated", ca.name, n, len(ca.wire), err)
			}
		}
	}
}
