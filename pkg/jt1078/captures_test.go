package jt1078

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.bin anew")

// syntheticFrames is a stream of the project's own making, as of a camera at 25 frames a second with sound in packets
// of 40 ms and now and then a passthrough message. The bytes are random behind the start codes.
func syntheticFrames(pictures int) (frames []Frame) {
	random := rand.New(rand.NewPCG(1078, 808))
	fill := func(prefix string, n int) []byte {
		b := append(make([]byte, 0, n), prefix...)
		for len(b) < n {
			b = append(b, byte(1+random.IntN(255))) // never 0: no start codes
		}
		return b
	}
	for i := range pictures {
		timestamp := 1735689600000 + uint64(i)*40
		if i%25 == 0 {
			frames = append(frames, Frame{
				DataType: DataI, PayloadType: PayloadH264, Timestamp: timestamp,
				Data: fill("\x00\x00\x00\x01\x67sps\x00\x00\x00\x01\x68pps\x00\x00\x00\x01\x65", 4000),
			})
		} else {
			frames = append(frames, Frame{
				DataType: DataP, PayloadType: PayloadH264, Timestamp: timestamp,
				Data: fill("\x00\x00\x00\x01\x61", 100+random.IntN(1000)),
			})
		}
		frames = append(frames, Frame{
			DataType: DataAudio, PayloadType: PayloadG711A, Timestamp: timestamp + 7, Data: fill("", 320),
		})
		if i%20 == 10 {
			frames = append(frames, Frame{
				DataType: DataPassthrough, PayloadType: PayloadPassthrough, Data: fill("", 60),
			})
		}
	}
	return frames
}

// casesCapture are the files under testdata, how they are made and what is in them.
var casesCapture = []struct {
	file               string
	pictures           int
	sound              bool
	options            PacketizerOptions
	garbage            string // between frames
	format             SIMFormat
	stream             string
	packets, i, p      int
	audio, passthrough int
	skipped            uint64
}{
	{
		file: "sim6-video.bin", pictures: 26, format: SIMFormat6, stream: "06495940943803",
		packets: 37, i: 2, p: 24,
	},
	{
		file: "sim10-video.bin", pictures: 26, options: PacketizerOptions{LongSIM: true}, format: SIMFormat10,
		stream: "06495940943803", packets: 37, i: 2, p: 24,
	},
	{
		file: "sim6-video-audio.bin", pictures: 26, sound: true, options: PacketizerOptions{SeparateSequences: true},
		format: SIMFormat6, stream: "06495940943803", packets: 64, i: 2, p: 24, audio: 26, passthrough: 1,
	},
	{
		file: "sim6-video-audio-garbage.bin", pictures: 26, sound: true, garbage: "\x00\xff01cd\x81 01c",
		format: SIMFormat6, stream: "06495940943803", packets: 64, i: 2, p: 24, audio: 26, passthrough: 1, skipped: 53 * 11,
	},
}

func TestCaptures(t *testing.T) {
	for _, ca := range casesCapture {
		t.Run(ca.file, func(t *testing.T) {
			z := NewPacketizer(simShort, 3, ca.options)
			var want []Frame
			var made []byte
			for _, f := range syntheticFrames(ca.pictures) {
				if ca.sound || f.DataType.IsVideo() {
					want = append(want, f)
					made = append(z.AppendFrame(made, f), ca.garbage...)
				}
			}
			path := filepath.Join("testdata", ca.file)
			if *update {
				if err := os.WriteFile(path, made, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			wire, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(wire, made) {
				t.Error("the file differs from what the packetizer makes; go test -update writes it anew")
			}

			got := decodeCapture(t, wire)
			if got.format != ca.format || len(got.frames) != 1 || got.reader.Packets != uint64(ca.packets) ||
				got.reader.SkippedBytes != ca.skipped {
				t.Fatalf("format %d, %d streams, %+v", got.format, len(got.frames), got.reader)
			}
			frames := got.frames[ca.stream]
			count := countFrames(frames)
			if count != (frameCount{i: ca.i, p: ca.p, audio: ca.audio, passthrough: ca.passthrough}) {
				t.Errorf("%+v", count)
			}
			if len(frames) != len(want) {
				t.Fatalf("%d frames, want %d", len(frames), len(want))
			}
			for i, f := range frames {
				if f.Timestamp != want[i].Timestamp || f.Discontinuity || !bytes.Equal(f.Data, want[i].Data) {
					t.Fatalf("frame %d differs", i)
				}
			}
		})
	}
}

// capture is what a byte stream holds.
type capture struct {
	format    SIMFormat
	reader    ReaderStats
	assembler map[string]AssemblerStats
	frames    map[string][]Frame
}

func decodeCapture(t *testing.T, wire []byte) capture {
	t.Helper()
	r := NewReader(bytes.NewReader(wire), ReaderOptions{})
	assemblers := map[StreamID]*Assembler{}
	c := capture{assembler: map[string]AssemblerStats{}, frames: map[string][]Frame{}}
	var p Packet
	for r.Read(&p) == nil {
		a := assemblers[p.ID()]
		if a == nil {
			a = NewAssembler(AssemblerOptions{})
			assemblers[p.ID()] = a
		}
		if f, ok := a.Push(&p); ok {
			f.Data = bytes.Clone(f.Data)
			c.frames[p.ID().String()] = append(c.frames[p.ID().String()], f)
		}
	}
	c.format, c.reader = r.SIMFormat(), r.Stats()
	for id, a := range assemblers {
		c.assembler[id.String()] = a.Stats()
	}
	return c
}

type frameCount struct{ i, p, b, audio, passthrough int }

func countFrames(frames []Frame) (n frameCount) {
	for _, f := range frames {
		switch f.DataType {
		case DataI:
			n.i++
		case DataP:
			n.p++
		case DataB:
			n.b++
		case DataAudio:
			n.audio++
		default:
			n.passthrough++
		}
	}
	return n
}

// Recordings of real vehicles. They are not part of the project: RECORDINGS_DIR says where they lie.
func TestRecordings(t *testing.T) {
	dir := os.Getenv("RECORDINGS_DIR")
	if dir == "" {
		t.Skip("RECORDINGS_DIR is not set: no recordings of real vehicles to check against")
	}
	for _, ca := range []struct {
		file, stream string
		packets      uint64
		count        frameCount
		audioSize    int
		milliseconds uint64 // from the first picture to the last
	}{
		{"glaciall-h264-352x288.bin", "01380013800001", 6063, frameCount{i: 89, p: 4022}, 0, 174362},
		{"xtream-sim6-h264-adpcm.bin", "01380013899902", 57, frameCount{i: 1, p: 17, audio: 28}, 168, 1040},
		{"smallchi-2-h264.bin", "01234567899901", 314, frameCount{i: 6, p: 264}, 0, 39600},
	} {
		t.Run(ca.file, func(t *testing.T) {
			wire, err := os.ReadFile(filepath.Join(dir, "captures", ca.file))
			if err != nil {
				t.Fatal(err)
			}
			got := decodeCapture(t, wire)
			if got.format != SIMFormat6 || got.reader != (ReaderStats{Packets: ca.packets, Bytes: uint64(len(wire))}) {
				t.Errorf("format %d, %+v of %d bytes", got.format, got.reader, len(wire))
			}
			frames := got.frames[ca.stream]
			if len(got.frames) != 1 || countFrames(frames) != ca.count {
				t.Errorf("%d streams, %+v, want %+v of %s", len(got.frames), countFrames(frames), ca.count, ca.stream)
			}
			wantStats := AssemblerStats{Packets: ca.packets, Frames: uint64(len(frames))}
			if stats := got.assembler[ca.stream]; stats != wantStats {
				t.Errorf("%+v", stats)
			}
			var pictures []uint64
			for i, f := range frames {
				if f.DataType.IsVideo() {
					pictures = append(pictures, f.Timestamp)
				}
				switch {
				case f.Discontinuity:
					t.Errorf("frame %d: a discontinuity before it", i)
				case f.DataType.IsVideo() && !startsNALU(f.Data):
					t.Errorf("frame %d begins with % x", i, f.Data[:8])
				case f.DataType == DataAudio && len(f.Data) != ca.audioSize:
					t.Errorf("frame %d: %d bytes of sound", i, len(f.Data))
				}
			}
			if took := pictures[len(pictures)-1] - pictures[0]; took != ca.milliseconds {
				t.Errorf("%d ms from the first picture to the last, want %d", took, ca.milliseconds)
			}
		})
	}
}
