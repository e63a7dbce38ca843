package jt1078

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
)

// FuzzReader gives the reader any bytes, in any pieces.
func FuzzReader(f *testing.F) {
	long, _ := streamOf(SIMFormat10)
	short := append(bytes.Clone(casesPacket[0].wire), casesPacket[3].wire...)
	f.Add(short, uint64(1))
	f.Add(long, uint64(2))
	f.Add(append(append(bytes.Clone(short), "01cd"...), long...), uint64(3))
	f.Fuzz(func(t *testing.T, wire []byte, split uint64) {
		for format := SIMFormatAuto; format <= SIMFormat10; format++ {
			options := ReaderOptions{SIMFormat: format, BufferSize: minBufferSize}
			atOnce := NewReader(bytes.NewReader(wire), options)
			got, err := readUntilError(atOnce)
			checkReader(t, atOnce, err, wire)

			pieces := NewReader(cutAtRandom(wire, rand.New(rand.NewPCG(split, 0)), 1+int(split%64)), options)
			again, err := readUntilError(pieces)
			checkReader(t, pieces, err, wire)
			// Without the format, the first packets of garbage may be read either way.
			if format != SIMFormatAuto && !reflect.DeepEqual(got, again) {
				t.Fatalf("format %d: %d packets at once, %d in pieces", format, len(got), len(again))
			}
		}
	})
}

// checkReader: every byte is accounted for.
func checkReader(t *testing.T, r *Reader, err error, wire []byte) {
	t.Helper()
	stats := r.Stats()
	switch {
	case errors.Is(err, ErrAlarmAttachment):
		if stats.Packets != 0 || !bytes.Contains(wire, []byte(magicBytes)) {
			t.Fatalf("no attachment: %+v", stats)
		}
	case !errors.Is(err, io.EOF):
		t.Fatal(err)
	case stats.Bytes+stats.SkippedBytes != uint64(len(wire)):
		t.Fatalf("%+v of %d bytes", stats, len(wire))
	}
}

// FuzzReaderSplit sends packets of a vehicle with garbage between: the same come out, however they are split.
func FuzzReaderSplit(f *testing.F) {
	f.Add([]byte("garbage"), uint64(1), false)
	f.Add([]byte("01cd"), uint64(2), true)
	f.Add([]byte("01cd\x81\x62"), uint64(3), true)
	f.Fuzz(func(t *testing.T, garbage []byte, seed uint64, long bool) {
		if bytes.Contains(garbage, []byte(magicBytes+"\x81")) {
			garbage = nil // it might be a packet
		}
		random := rand.New(rand.NewPCG(seed, 1))
		_, want, _ := talkative(2+random.IntN(10), long)
		var wire []byte
		for i := range want {
			wire = want[i].append(wire)
			if random.IntN(3) == 0 {
				wire = append(wire, garbage...)
			}
		}
		got := readAll(t, NewReader(cutAtRandom(wire, random, 1+random.IntN(300)), ReaderOptions{BufferSize: minBufferSize}))
		if missing := firstMissing(got, want); missing >= 0 {
			t.Fatalf("packet %d of %d is missing", missing, len(want))
		}
	})
}

// FuzzAssembler pushes whatever packets the bytes make.
func FuzzAssembler(f *testing.F) {
	for _, ca := range casesPacket {
		f.Add(ca.wire)
	}
	f.Add(bytes.Repeat([]byte{0x11, 1, 0, 5, 0x32, 2, 0, 5, 0x12, 3, 0, 6}, 20))
	f.Fuzz(func(t *testing.T, script []byte) {
		const limit = 200
		a := NewAssembler(AssemblerOptions{MaxFrame: limit})
		body := bytes.Repeat([]byte{0, 0, 1, 2, 3, 4, 5, 6}, 40)
		packets, frames := uint64(0), uint64(0)
		var before Frame
		var copied []byte
		for ; len(script) >= 4; script = script[4:] {
			// Type and mark, what the number advances by, where the body begins and how long it is, the timestamp.
			p := Packet{
				DataType: DataType(script[0]>>4) % (DataPassthrough + 1), Subpackage: Subpackage(script[0] & 3),
				Sequence: uint16(packets) + uint16(int8(script[1])), Timestamp: uint64(script[3] & 0x0f),
				Body: body[script[2]&7:][:int(script[2]>>3)*(1+int(script[3]>>6))],
			}
			if !bytes.Equal(before.Data, copied) {
				t.Fatal("a frame changed before the next Push")
			}
			f, ok := a.Push(&p)
			packets++
			if ok {
				frames++
				if len(f.Data) == 0 || len(f.Data) > limit {
					t.Fatalf("a frame of %d bytes", len(f.Data))
				}
			} else if !reflect.DeepEqual(f, Frame{}) {
				t.Fatalf("a frame beside false: %+v", f)
			}
			before, copied = f, bytes.Clone(f.Data)
		}
		if stats := a.Stats(); stats.Packets != packets || stats.Frames != frames || stats.UnbelievedGaps > stats.Gaps {
			t.Fatalf("%d packets, %d frames: %+v", packets, frames, stats)
		}
	})
}

// FuzzPacketizer sends any frames over the wire and takes them together again.
func FuzzPacketizer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x67 a key frame\x00\x00\x00\x01\x61 another\x00\x00\x00\x01 third"), uint16(10), uint64(1), false)
	f.Add(bytes.Repeat([]byte("01cd\x81"), 100), uint16(950), uint64(2), true)
	f.Fuzz(func(t *testing.T, data []byte, maxBody uint16, seed uint64, long bool) {
		random := rand.New(rand.NewPCG(seed, 2))
		format := SIMFormat6
		if long {
			format = SIMFormat10
		}
		options := PacketizerOptions{
			MaxBody: 1 + int(maxBody)%MaxStandardBody, LongSIM: long, SeparateSequences: random.IntN(2) == 0,
		}
		if packets := len(data) / options.MaxBody; packets > 5000 {
			t.Skip("more packets show nothing that 5000 do not")
		}
		var want []Frame
		for timestamp := uint64(0); len(data) > 0; timestamp += uint64(1 + random.IntN(100)) {
			frame := Frame{DataType: DataType(random.IntN(5)), PayloadType: PayloadType(random.IntN(128)), Timestamp: timestamp}
			frame.Data = data[:1+random.IntN(len(data))]
			data = data[len(frame.Data):]
			if frame.DataType == DataPassthrough {
				frame.Timestamp = 0
			}
			want = append(want, frame)
		}
		got := roundTrip(t, want, options, ReaderOptions{SIMFormat: format})
		if len(got) != len(want) {
			t.Fatalf("%d frames, want %d", len(got), len(want))
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("frame %d:\n got %+v\nwant %+v", i, got[i], want[i])
			}
		}
	})
}
