package jt1078

import (
	"math/rand/v2"
	"testing"
)

// Item 21: the length of the SIM is found out from one packet, with and without the beginning of the next.
func TestDetectSIMFormat(t *testing.T) {
	for _, ca := range casesPacket {
		want := ca.packet.format()
		if got := DetectSIMFormat(ca.wire); got != want {
			t.Errorf("%s: got %d, want %d", ca.name, got, want)
		}
		if got := DetectSIMFormat(append(ca.wire[:len(ca.wire):len(ca.wire)], ca.wire...)); got != want {
			t.Errorf("%s, another behind it: got %d, want %d", ca.name, got, want)
		}
	}
	for name, b := range map[string][]byte{
		"no packet":             []byte("30316364 is how it would begin"),
		"attachment":            append([]byte("01cd00_65_6501_0_b5f3.jpg"), make([]byte, 40)...),
		"neither type is known": bin(`30316364 81 62 0001  064959409438 03 91  0000018bcfe56800 0000 0000 0000`),
	} {
		if got := DetectSIMFormat(b); got != SIMFormatAuto {
			t.Errorf("%s: got %d", name, got)
		}
	}
}

// Packets that make sense either way at first sight.
func TestDetectSIMFormatAmbiguous(t *testing.T) {
	for name, ca := range map[string]struct {
		wire []byte
		want SIMFormat
	}{
		// Read with six bytes: channel 0x12, audio, atomic, and a body of 0x0011 bytes.
		"2019, audio, the telephone number looks like channel and type": {
			bin(`30316364 81 86 0001  00000000013912307890 01 30  0000018bcfe56800 0004  d5d5d5d5`), SIMFormat10,
		},
		"2019, video, the telephone number looks like channel and type": {
			bin(`30316364 81 62 0001  00000000013912107890 01 00  0000018bcfe56800 0028 0028 0006  000000016742`), SIMFormat10,
		},
		// Read with ten bytes: channel 1 and type 2 of the clock, which stands in 2009.
		"2013, video, the clock looks like channel and type": {
			bin(`30316364 81 62 0001  013912345678 01 00  0000012245678901 0028 0028 0006  000000016742`), SIMFormat6,
		},
		"2013, audio, the clock looks like channel and type": {
			bin(`30316364 81 86 0001  013912345678 01 30  0000012245678901 0008  d5d5d5d5d5d5d5d5`), SIMFormat6,
		},
		"2013, passthrough, the message looks like channel and type": {
			bin(`30316364 81 5b 0001  013912345678 01 40  0018  0130 000000000000000000000000000000000000000000ff`), SIMFormat6,
		},
	} {
		if got := DetectSIMFormat(ca.wire); got != ca.want {
			t.Errorf("%s: got %d, want %d", name, got, ca.want)
		}
	}
}

// Any telephone number, any clock, any kind of packet, alone in a write.
func TestDetectSIMFormatAnyVehicle(t *testing.T) {
	random := rand.New(rand.NewPCG(1078, 2016))
	for range 5000 {
		p := Packet{
			Sequence: uint16(random.Uint32()), Channel: uint8(1 + random.IntN(8)), DataType: DataType(random.IntN(5)),
			Timestamp: random.Uint64N(1 << (8 + random.IntN(34))), LongSIM: random.IntN(2) == 0, Body: make([]byte, 160),
		}
		for i := range p.Body {
			p.Body[i] = byte(random.Uint32())
		}
		switch {
		case p.DataType.IsVideo():
			p.PayloadType = PayloadH264
			copy(p.Body, "\x00\x00\x00\x01\x61")
		case p.DataType == DataAudio:
			p.PayloadType = PayloadG711A
		default:
			p.PayloadType = PayloadPassthrough
		}
		p.SIM = SIM{4: 0x01}
		for i := 5; i < 10; i++ {
			p.SIM[i] = byte(random.IntN(10)<<4 | random.IntN(10))
		}
		wire, err := p.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := DetectSIMFormat(wire); got != p.format() {
			t.Fatalf("%+v\n% x\ngot %d", p, wire[:40], got)
		}
	}
}

func FuzzDetectSIMFormat(f *testing.F) {
	for _, ca := range casesPacket {
		f.Add(ca.wire)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, short := measure(b, 0)
		_, long := measure(b, longShift)
		switch DetectSIMFormat(b) {
		case SIMFormatAuto:
			if short != notHeader || long != notHeader {
				t.Fatal("a header was not seen")
			}
		case SIMFormat6:
			if short == notHeader {
				t.Fatal("not a header with six bytes of SIM")
			}
		case SIMFormat10:
			if long == notHeader {
				t.Fatal("not a header with ten bytes of SIM")
			}
		}
	})
}
