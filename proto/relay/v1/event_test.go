package relayv1

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"multi_process_server/pkg/media"
)

var frames = map[string]media.Frame{
	"nothing set": {},
	"key frame": {
		Sequence: 1, Type: media.FrameKey, Codec: media.CodecH264, PayloadType: 98, PTS: 40 * time.Millisecond,
		Received: time.UnixMicro(1_800_000_000_123_456), VehicleTimestamp: 123456, Data: bytes.Repeat([]byte{0, 0, 0, 1, 0x65}, 10_000),
	},
	"sound": {Sequence: 300, Type: media.FrameAudio, Codec: media.CodecG711A, PayloadType: 6, PTS: time.Hour, Received: time.UnixMicro(1), Data: make([]byte, 320)},
	"limits": {
		Sequence: math.MaxUint64, Type: math.MaxUint8, Codec: math.MaxUint8, PayloadType: math.MaxUint8, PTS: math.MinInt64 / 1000 * 1000,
		Received: time.UnixMicro(-1), VehicleTimestamp: math.MaxUint64, Data: []byte{0},
	},
}

// message is what the protobuf library's user would build from f.
func message(f *media.Frame) *Event {
	m := &Frame{
		Sequence: f.Sequence, Type: FrameType(f.Type), Codec: Codec(f.Codec), PayloadType: uint32(f.PayloadType),
		PtsUs: f.PTS.Microseconds(), Data: f.Data, VehicleTimestampMs: f.VehicleTimestamp,
	}
	if !f.Received.IsZero() {
		m.ReceivedUs = f.Received.UnixMicro()
	}
	return &Event{Frame: m}
}

// frame is the media.Frame of a message that the protobuf library parsed.
func frame(m *Frame) *media.Frame {
	f := &media.Frame{
		Sequence: m.Sequence, Type: media.FrameType(byteOrZero(uint64(m.Type))), Codec: media.Codec(byteOrZero(uint64(m.Codec))),
		PayloadType: byteOrZero(uint64(m.PayloadType)), PTS: time.Duration(m.PtsUs) * time.Microsecond, VehicleTimestamp: m.VehicleTimestampMs, Data: m.Data,
	}
	if m.ReceivedUs != 0 {
		f.Received = time.UnixMicro(m.ReceivedUs)
	}
	return f
}

func equalFrames(a, b *media.Frame) error {
	if a == nil || b == nil {
		if a != b {
			return fmt.Errorf("%v and %v", a, b)
		}
		return nil
	}
	x, y := *a, *b
	if !bytes.Equal(x.Data, y.Data) || !x.Received.Equal(y.Received) {
		return fmt.Errorf("%+v and %+v", x, y)
	}
	x.Data, y.Data, x.Received, y.Received = nil, nil, time.Time{}, time.Time{}
	if fmt.Sprint(x) != fmt.Sprint(y) {
		return fmt.Errorf("%+v and %+v", x, y)
	}
	return nil
}

func TestAppendFrameEventWritesWhatProtobufWrites(t *testing.T) {
	for name, f := range frames {
		t.Run(name, func(t *testing.T) {
			want, err := proto.MarshalOptions{Deterministic: true}.Marshal(message(&f))
			if err != nil {
				t.Fatal(err)
			}
			got := AppendFrameEvent([]byte("before"), &f)
			if !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("wrote\n%x, protobuf\n%x", got, want)
			}
			if n := FrameEventSize(&f); n != len(want) {
				t.Errorf("size %d, want %d", n, len(want))
			}
			var r Received
			if err := r.Unmarshal(want); err != nil {
				t.Fatal(err)
			}
			if err := equalFrames(r.Frame, &f); err != nil {
				t.Errorf("parsed: %v", err)
			}
			if r.State != nil {
				t.Error("a state came out of nothing")
			}
		})
	}
}

func TestAppendFrameEventNeedsNoMemory(t *testing.T) {
	f := frames["key frame"]
	dst := make([]byte, 0, FrameEventSize(&f))
	if n := testing.AllocsPerRun(100, func() { AppendFrameEvent(dst, &f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStateEvent(t *testing.T) {
	state := &State{Stage: Stage_STAGE_PLAYING, CachedFrames: 51, Detail: "sub stream", Epoch: math.MaxUint64}
	b := AppendStateEvent(nil, state)
	var r Received
	if err := r.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(r.State, state) || r.Frame != nil {
		t.Errorf("parsed %v", &r)
	}
}

func TestStateEventWithBrokenText(t *testing.T) {
	var event Event
	if err := proto.Unmarshal(AppendStateEvent(nil, &State{Stage: 3, Detail: "plate \xd4\xc1B12345"}), &event); err != nil {
		t.Fatal(err)
	}
	if event.State.GetDetail() != "plate \uFFFDB12345" || event.State.Stage != 3 {
		t.Errorf("parsed %v", &event)
	}
}

func TestUnmarshalAliases(t *testing.T) {
	f := frames["sound"]
	b := AppendFrameEvent(nil, &f)
	var r Received
	if err := r.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !bytes.Equal(r.Frame.Data, make([]byte, 320)) {
		t.Error("data was copied")
	}
}

func TestUnmarshalTimeOutOfRange(t *testing.T) {
	b, err := proto.Marshal(&Event{Frame: &Frame{PtsUs: math.MaxInt64}})
	if err != nil {
		t.Fatal(err)
	}
	if err := new(Received).Unmarshal(b); err == nil {
		t.Error("accepted")
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, frame := range frames {
		f.Add(AppendFrameEvent(nil, &frame))
	}
	f.Add(AppendStateEvent(nil, &State{Stage: 5, CachedFrames: 3, Detail: "playing", Epoch: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var want Event
		wantErr := proto.Unmarshal(b, &want)
		var got Received
		err := got.Unmarshal(bytes.Clone(b))
		if want.GetFrame().GetPtsUs() > math.MaxInt64/1000 || want.GetFrame().GetPtsUs() < math.MinInt64/1000 {
			return
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, protobuf's %v", err, wantErr)
		}
		if err != nil {
			return
		}
		if (got.Frame == nil) != (want.Frame == nil) || (got.State == nil) != (want.State == nil) {
			t.Fatalf("got %v, protobuf %v", &got, &want)
		}
		if want.Frame != nil {
			if err := equalFrames(got.Frame, frame(want.Frame)); err != nil {
				t.Fatal(err)
			}
		}
		if want.State != nil && !proto.Equal(got.State, want.State) {
			t.Fatalf("state %v, protobuf's %v", got.State, want.State)
		}
	})
}

func FuzzAppendFrameEvent(f *testing.F) {
	f.Add(uint64(1), uint8(1), uint8(1), uint8(98), int64(0), int64(0), uint64(0), []byte{1})
	f.Fuzz(func(t *testing.T, sequence uint64, frameType, codec, payload uint8, pts, received int64, stamp uint64, data []byte) {
		in := media.Frame{
			Sequence: sequence, Type: media.FrameType(frameType), Codec: media.Codec(codec), PayloadType: payload,
			PTS: time.Duration(pts).Truncate(time.Microsecond), VehicleTimestamp: stamp, Data: data,
		}
		if received != 0 {
			in.Received = time.UnixMicro(received)
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(message(&in))
		if err != nil {
			t.Fatal(err)
		}
		got := AppendFrameEvent(nil, &in)
		if !bytes.Equal(got, want) || FrameEventSize(&in) != len(want) {
			t.Fatalf("wrote\n%x, protobuf\n%x", got, want)
		}
		var r Received
		if err := r.Unmarshal(got); err != nil {
			t.Fatal(err)
		}
		if err := equalFrames(r.Frame, &in); err != nil {
			t.Fatal(err)
		}
	})
}

// counted is a pool that tells how many of its buffers came back.
type counted struct{ returned int }

func (p *counted) Get(n int) *[]byte { b := make([]byte, n); return &b }
func (p *counted) Put(*[]byte)       { p.returned++ }

func TestCodecPassesBuffersThrough(t *testing.T) {
	f := frames["key frame"]
	var pool counted
	b := pool.Get(FrameEventSize(&f))
	AppendFrameEvent((*b)[:0], &f)
	buffer := mem.NewBuffer(b, &pool)

	var codec GRPCCodec
	for range 3 { // subscribers
		out, err := codec.Marshal(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) != 1 || &out[0].ReadOnlyData()[0] != &(*b)[0] {
			t.Fatal("copied")
		}
		again, err := codec.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		again.Free()
		out.Free()
	}
	if pool.returned != 0 {
		t.Fatal("freed before the caller's reference was")
	}
	buffer.Free()
	if pool.returned != 1 {
		t.Fatal("not freed")
	}
}

func TestCodecReceivesOnItsOwnMemory(t *testing.T) {
	f := frames["key frame"]
	b := AppendFrameEvent(nil, &f)
	var r Received
	if err := (GRPCCodec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(b[:10]), mem.SliceBuffer(b[10:])}, &r); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if err := equalFrames(r.Frame, &f); err != nil {
		t.Error(err)
	}
}

func TestCodecLeavesOtherMessagesToTheStockCodec(t *testing.T) {
	var codec GRPCCodec
	in := &SubscribeRequest{StreamId: "06495940943803", Kind: Kind_KIND_LIVE, Subscriber: "test"}
	b, err := codec.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	var out SubscribeRequest
	if err := codec.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(in, &out) {
		t.Errorf("%v", &out)
	}
	if _, err := codec.Marshal("text"); err == nil {
		t.Error("marshalled a string")
	}
}

func BenchmarkAppendFrameEvent(b *testing.B) {
	f := media.Frame{Sequence: 1000, Type: media.FrameDelta, Codec: media.CodecH264, PayloadType: 98, PTS: time.Minute, Received: time.Now(), VehicleTimestamp: 1, Data: make([]byte, 5700)}
	dst := make([]byte, 0, FrameEventSize(&f))
	b.ReportAllocs()
	for b.Loop() {
		AppendFrameEvent(dst, &f)
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	f := media.Frame{Sequence: 1000, Type: media.FrameDelta, Codec: media.CodecH264, PayloadType: 98, PTS: time.Minute, Received: time.Now(), VehicleTimestamp: 1, Data: make([]byte, 5700)}
	event := AppendFrameEvent(nil, &f)
	var r Received
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Unmarshal(event); err != nil {
			b.Fatal(err)
		}
	}
}
