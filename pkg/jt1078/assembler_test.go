package jt1078

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// sub writes a packet shortly: "type mark sequence timestamp body", such as "P first 7 40 abc". A body of video that
// begins with "|" begins with a start code.
func sub(t testing.TB, text string) *Packet {
	t.Helper()
	var p Packet
	var dataType, mark, body string
	n, err := fmt.Sscanf(text+" ", "%s %s %d %d %s", &dataType, &mark, &p.Sequence, &p.Timestamp, &body)
	if err != nil && n < 4 {
		t.Fatalf("%q: %v", text, err)
	}
	for p.DataType = range DataPassthrough + 1 {
		if p.DataType.String() == dataType || p.DataType == DataPassthrough && dataType == "data" {
			break
		}
	}
	for p.Subpackage = range SubpackageMiddle + 1 {
		if p.Subpackage.String() == mark {
			break
		}
	}
	switch {
	case p.DataType.IsVideo():
		p.PayloadType = PayloadH264
	case p.DataType == DataAudio:
		p.PayloadType = PayloadG711A
	default:
		p.PayloadType = PayloadPassthrough
	}
	p.Body = []byte(strings.ReplaceAll(body, "|", "\x00\x00\x01"))
	return &p
}

// push pushes packets and writes the frames that come out in the same manner: "P 40 abc", "!" where a discontinuity
// comes before.
func push(t testing.TB, a *Assembler, packets ...string) (frames []string) {
	t.Helper()
	for _, text := range packets {
		f, ok := a.Push(sub(t, text))
		if !ok {
			if !reflect.DeepEqual(f, Frame{}) {
				t.Fatalf("%s: a frame beside false: %+v", text, f)
			}
			continue
		}
		frame := fmt.Sprintf("%s %d %s", f.DataType, f.Timestamp, bytes.ReplaceAll(f.Data, []byte("\x00\x00\x01"), []byte("|")))
		if f.Discontinuity {
			frame = "!" + frame
		}
		frames = append(frames, frame)
	}
	return frames
}

func TestAssembler(t *testing.T) {
	for _, ca := range []struct {
		name    string
		packets []string
		frames  []string
		stats   AssemblerStats // Packets and Frames are filled in
	}{
		{
			name:    "atomic, and first to last",
			packets: []string{"I first 0 0 |I1", "I middle 1 0 I2", "I last 2 0 I3", "P atomic 3 40 |P", "P first 4 80 |p", "P last 5 80 q"},
			frames:  []string{"I 0 |I1I2I3", "P 40 |P", "P 80 |pq"},
		},
		{
			name:    "sound between the pieces of a picture, counted together", // item 17
			packets: []string{"I first 0 0 |I1", "audio atomic 1 5 A", "I middle 2 0 I2", "audio atomic 3 25 B", "data atomic 4 0 D", "I last 5 0 I3"},
			frames:  []string{"audio 5 A", "audio 25 B", "passthrough 0 D", "I 0 |I1I2I3"},
		},
		{
			name:    "sound between the pieces of a picture, counted apart", // item 17
			packets: []string{"I first 0 0 |I1", "audio atomic 900 5 A", "I middle 1 0 I2", "audio atomic 901 25 B", "I last 2 0 I3"},
			frames:  []string{"audio 5 A", "audio 25 B", "I 0 |I1I2I3"},
		},
		{
			name:    "sound and passthrough in pieces, interleaved",
			packets: []string{"audio first 0 5 A", "data first 1 0 D", "P first 2 5 |P", "audio last 3 5 B", "P last 4 5 Q", "data last 5 0 E"},
			frames:  []string{"audio 5 AB", "P 5 |PQ", "passthrough 0 DE"},
		},
		{
			name:    "the number wraps", // item 17
			packets: []string{"P first 65534 0 |a", "P middle 65535 0 b", "P middle 0 0 c", "P last 1 0 d", "P atomic 2 40 |e"},
			frames:  []string{"P 0 |abcd", "P 40 |e"},
		},
		{
			name:    "middle and last without first", // item 10
			packets: []string{"I middle 7 0 x", "I last 8 0 y", "P atomic 9 40 |P", "P middle 10 80 x", "P first 11 120 |a", "P last 12 120 b"},
			frames:  []string{"!P 40 |P", "!P 120 |ab"},
			stats:   AssemblerStats{Orphans: 3},
		},
		{
			name:    "a middle packet is missing",
			packets: []string{"I first 0 0 |a", "I last 2 0 c", "P atomic 3 40 |d", "P atomic 4 80 |e"},
			frames:  []string{"!P 40 |d", "P 80 |e"},
			stats:   AssemblerStats{Gaps: 1, LostPackets: 1, DamagedFrames: 1},
		},
		{
			name:    "the last packet is missing",
			packets: []string{"I first 0 0 |a", "I middle 1 0 b", "P atomic 3 40 |d"},
			frames:  []string{"!P 40 |d"},
			stats:   AssemblerStats{Gaps: 1, LostPackets: 1, DamagedFrames: 1},
		},
		{
			name:    "the first packet is missing",
			packets: []string{"P atomic 0 0 |a", "P middle 2 40 c", "P last 3 40 d", "P atomic 4 80 |e"},
			frames:  []string{"P 0 |a", "!P 80 |e"},
			stats:   AssemblerStats{Gaps: 1, LostPackets: 1, UnbelievedGaps: 1, Orphans: 2},
		},
		{
			name:    "the end of one frame and the beginning of the next are missing",
			packets: []string{"P first 0 0 |a", "P middle 1 0 b", "P middle 4 40 y", "P last 5 40 z", "P atomic 6 80 |e"},
			frames:  []string{"!P 80 |e"},
			stats:   AssemblerStats{Gaps: 1, LostPackets: 2, DamagedFrames: 1, Orphans: 2},
		},
		{
			name:    "a packet of the picture is missing, and sound comes next, counted together",
			packets: []string{"I first 0 0 |a", "audio atomic 1 5 A", "I middle 2 0 b", "audio atomic 4 25 B", "I last 5 0 d", "P atomic 6 40 |e"},
			frames:  []string{"audio 5 A", "!audio 25 B", "!P 40 |e"},
			stats:   AssemblerStats{Gaps: 1, LostPackets: 1, DamagedFrames: 1},
		},
		{
			name: "a packet of sound is missing, counted apart: the picture is whole",
			packets: []string{
				"I first 0 0 |a", "audio atomic 900 5 A", "I middle 1 0 b", "audio atomic 901 25 B", "I middle 2 0 c",
				"audio atomic 903 45 D", "I last 3 0 d",
			},
			frames: []string{"audio 5 A", "audio 25 B", "audio 45 D", "I 0 |abcd"},
			stats:  AssemblerStats{Gaps: 1, LostPackets: 1, UnbelievedGaps: 1},
		},
		{
			name:    "empty bodies", // item 15
			packets: []string{"P atomic 0 0 ", "P first 1 40 ", "P middle 2 40 |a", "P middle 3 40 ", "P last 4 40 ", "audio atomic 5 9 ", "P first 6 80 ", "P last 7 80 ", "P atomic 8 120 |b"},
			frames:  []string{"P 40 |a", "P 120 |b"},
			stats:   AssemblerStats{EmptyPackets: 7},
		},
		{
			name:    "no packet is marked last: the next frame ends it", // item 9
			packets: []string{"I first 0 0 |a", "I middle 1 0 b", "P first 2 40 |c", "P middle 3 40 d", "P first 4 80 |e"},
			frames:  []string{"I 0 |ab", "P 40 |cd"},
			stats:   AssemblerStats{UnmarkedFrames: 2},
		},
		{
			name:    "no packet is marked last, and some frames are atomic",
			packets: []string{"I first 0 0 |a", "I middle 1 0 b", "P atomic 2 40 |c", "P atomic 3 80 |d", "P first 4 120 |e", "P atomic 5 160 |f"},
			frames:  []string{"I 0 |ab", "P 40 |c", "P 80 |d", "P 120 |e"},
			stats:   AssemblerStats{UnmarkedFrames: 2},
		},
		{
			name:    "only the first frame has a packet marked first: the timestamp tells", // item 9
			packets: []string{"I first 0 0 |a", "I middle 1 0 b", "P middle 2 40 |c", "P middle 3 40 d", "P middle 4 80 |e"},
			frames:  []string{"I 0 |ab", "P 40 |cd"},
			stats:   AssemblerStats{UnmarkedFrames: 2},
		},
		{
			name:    "the same, and the data type tells",
			packets: []string{"I first 0 9 |a", "I middle 1 9 b", "P middle 2 9 |c", "P middle 3 9 d", "B last 4 9 |e", "B atomic 5 10 |f"},
			frames:  []string{"I 9 |ab", "P 9 |cd", "B 9 |e"},
			stats:   AssemblerStats{UnmarkedFrames: 2},
		},
		{
			name:    "every packet of a frame is marked first",
			packets: []string{"I first 0 0 |a", "I first 1 0 b", "I first 2 0 c", "P first 3 40 |d", "P first 4 40 e", "P first 5 80 |f"},
			frames:  []string{"I 0 |abc", "P 40 |de"},
			stats:   AssemblerStats{UnmarkedFrames: 2},
		},
		{
			name: "every packet is marked atomic",
			packets: []string{
				"I atomic 0 0 |a", "P atomic 1 40 |b", "P atomic 2 40 c", "P atomic 3 40 d", "I atomic 4 80 |e", "I atomic 5 80 f",
				"P atomic 6 120 |g", "P atomic 7 160 |h",
			},
			// Until it is noticed, a first packet passes for a frame.
			frames: []string{"I 0 |a", "P 40 |b", "!I 80 |ef", "P 120 |g"},
			stats:  AssemblerStats{Orphans: 1, DamagedFrames: 1, UnmarkedFrames: 2},
		},
		{
			name:    "each packet has a timestamp of its own",
			packets: []string{"I first 0 0 |a", "I middle 1 1 b", "I last 2 2 c", "P first 3 40 |d", "P last 4 41 e"},
			frames:  []string{"I 0 |abc", "P 40 |de"},
		},
		{
			name:    "timestamps never change", // item 18
			packets: []string{"I first 0 0 |a", "I last 1 0 b", "P atomic 2 0 |c", "P atomic 3 0 |d", "P first 4 0 |e", "P last 5 0 f"},
			frames:  []string{"I 0 |ab", "P 0 |c", "P 0 |d", "P 0 |ef"},
		},
		{
			name:    "parameter sets in packets of their own, with one timestamp",
			packets: []string{"I atomic 0 0 |sps", "I atomic 1 0 |pps", "I first 2 0 |idr", "I last 3 0 more", "P atomic 4 40 |p"},
			frames:  []string{"I 0 |sps", "I 0 |pps", "I 0 |idrmore", "P 40 |p"},
		},
		{
			name:    "a NAL unit in each packet",
			packets: []string{"I first 0 0 |sps", "I middle 1 0 |pps", "I last 2 0 |idr", "P atomic 3 40 |p"},
			frames:  []string{"I 0 |sps|pps|idr", "P 40 |p"},
		},
		{
			name:    "too long, in pieces",
			packets: []string{"I first 0 0 |23456789", "I middle 1 0 123456789", "I last 2 0 1", "P first 3 40 |a", "P last 4 40 b"},
			frames:  []string{"!P 40 |ab"},
			stats:   AssemblerStats{OversizedFrames: 1},
		},
		{
			name:    "too long, in one",
			packets: []string{"I atomic 0 0 |" + strings.Repeat("x", 30), "P atomic 1 40 |a"},
			frames:  []string{"!P 40 |a"},
			stats:   AssemblerStats{OversizedFrames: 1},
		},
		{
			name:    "exactly as long as allowed",
			packets: []string{"I first 0 0 |" + strings.Repeat("x", 16), "I last 1 0 x", "I atomic 2 40 |" + strings.Repeat("x", 17)},
			frames:  []string{"I 0 |" + strings.Repeat("x", 17), "I 40 |" + strings.Repeat("x", 17)},
		},
		{
			name:    "numbers that never change",
			packets: []string{"I first 0 0 |a", "I middle 0 0 b", "I last 0 0 c", "P atomic 0 40 |d"},
			frames:  []string{"I 0 |abc", "P 40 |d"},
		},
		{
			name:    "numbers of frames",
			packets: []string{"I first 0 0 |a", "I middle 0 0 b", "I last 0 0 c", "P first 1 40 |d", "P last 1 40 e"},
			frames:  []string{"I 0 |abc", "P 40 |de"},
		},
		{
			name:    "the count begins anew",
			packets: []string{"I first 500 0 |a", "I last 501 0 b", "P first 0 40 |c", "P last 1 40 d", "P first 30000 80 |e", "P last 30001 80 f"},
			frames:  []string{"I 0 |ab", "P 40 |cd", "P 80 |ef"},
			stats:   AssemblerStats{Jumps: 2},
		},
	} {
		t.Run(ca.name, func(t *testing.T) {
			a := NewAssembler(AssemblerOptions{MaxFrame: 20})
			if got := push(t, a, ca.packets...); !reflect.DeepEqual(got, ca.frames) {
				t.Errorf("\n got %q\nwant %q", got, ca.frames)
			}
			ca.stats.Packets, ca.stats.Frames = uint64(len(ca.packets)), uint64(len(ca.frames))
			if got := a.Stats(); got != ca.stats {
				t.Errorf("\n got %+v\nwant %+v", got, ca.stats)
			}
		})
	}
}

// Whole frames missing are noticed once the vehicle's numbers have proved good.
func TestAssemblerFramesMissing(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	for i := range 10 {
		push(t, a, fmt.Sprintf("P atomic %d %d |x", i, i*40))
	}
	got := push(t, a, "P atomic 12 480 |a", "P atomic 13 520 |b", "P atomic 14 560 |c")
	if want := []string{"!P 480 |a", "P 520 |b", "P 560 |c"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if stats := a.Stats(); stats.Gaps != 1 || stats.LostPackets != 2 || stats.UnbelievedGaps != 0 {
		t.Errorf("%+v", stats)
	}
}

// Items 17 and 24: a vehicle that numbers the packets of all its channels together loses nothing, and is told so.
func TestAssemblerChannelsCountedTogether(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	number, frames, discontinuities := 0, 0, 0
	for i := range 500 {
		number += 1 + i%5 // packets of other channels between the frames
		for _, mark := range []string{"first", "middle", "last"} {
			body := map[string]string{"first": "|x", "middle": "y", "last": "z"}[mark]
			for _, frame := range push(t, a, fmt.Sprintf("P %s %d %d %s", mark, number%65536, i*40, body)) {
				frames++
				if frame[0] == '!' {
					discontinuities++
				}
			}
			number++
		}
	}
	if frames != 500 || discontinuities != 0 {
		t.Errorf("%d frames of 500, %d with a discontinuity before", frames, discontinuities)
	}
	if stats := a.Stats(); stats.DamagedFrames != 0 || stats.UnbelievedGaps != stats.Gaps {
		t.Errorf("%+v", stats)
	}
}

// The same where the channels' packets interleave inside frames: after a few frames the numbers are not believed.
func TestAssemblerChannelsInterleaved(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	number, last := 0, ""
	for i := range 100 {
		for _, mark := range []string{"first", "middle", "last"} {
			body := map[string]string{"first": "|x", "middle": "y", "last": "z"}[mark]
			for _, last = range push(t, a, fmt.Sprintf("P %s %d %d %s", mark, number, i*40, body)) {
			}
			number += 2
		}
	}
	if stats := a.Stats(); last != "P 3960 |xyz" || stats.Frames < 90 {
		t.Errorf("last frame %q, %+v", last, stats)
	}
}

// A vehicle that marks every packet middle is understood after a while: the timestamp tells its frames apart.
func TestAssemblerNeverFirst(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	var frames []string
	for i := range 100 {
		frames = append(frames, push(t, a,
			fmt.Sprintf("P middle %d %d |a", 3*i, i*40), fmt.Sprintf("P middle %d %d b", 3*i+1, i*40), fmt.Sprintf("P middle %d %d c", 3*i+2, i*40))...)
	}
	if len(frames) < 50 || frames[0][0] != '!' {
		t.Fatalf("%d frames: %q", len(frames), frames[:min(3, len(frames))])
	}
	for i, frame := range frames {
		if !strings.HasSuffix(frame, "|abc") || i > 0 && frame[0] == '!' {
			t.Fatalf("frame %d is %q", i, frame)
		}
	}
}

// A frame stays as it was until the next Push, when the packet that ended it began another one too.
func TestAssemblerDataValidUntilNextPush(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	for i := range 10 {
		body := strings.Repeat(string(rune('a'+i)), 10)
		first := sub(t, fmt.Sprintf("P first %d %d |%s", 2*i, i*40, body))
		f, ok := a.Push(first)
		clear(first.Body)
		if i > 0 {
			before := string(rune('a' + i - 1))
			if want := "\x00\x00\x01" + strings.Repeat(before, 20); !ok || string(f.Data) != want {
				t.Fatalf("frame %d: %v, %q", i-1, ok, f.Data)
			}
		}
		middle := sub(t, fmt.Sprintf("P middle %d %d %s", 2*i+1, i*40, body))
		if _, ok := a.Push(middle); ok {
			t.Fatal("a frame that nothing has ended")
		}
		clear(middle.Body)
	}
}

// A frame in one packet is not copied.
func TestAssemblerPassesAtomic(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	p := sub(t, "P atomic 0 0 |abc")
	f, ok := a.Push(p)
	if !ok || &f.Data[0] != &p.Body[0] || len(f.Data) != len(p.Body) {
		t.Fatalf("%v, %q", ok, f.Data)
	}
}

// A buffer that one huge frame has blown up is given back.
func TestAssemblerShrinks(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	number := uint16(0)
	frame := func(size int) {
		half := bytes.Repeat([]byte{1}, size/2)
		for _, mark := range []Subpackage{SubpackageFirst, SubpackageLast} {
			a.Push(&Packet{DataType: DataP, Subpackage: mark, Sequence: number, Timestamp: uint64(number / 2), Body: half})
			number++
		}
	}
	held := func() int { return cap(a.tracks[trackVideo].buf) + cap(a.tracks[trackVideo].spare) }
	frame(1 << 20)
	if held() < 1<<20 {
		t.Fatalf("holds %d", held())
	}
	for range 2 * shrinkAfter {
		frame(6000)
	}
	if held() > keepCapacity {
		t.Errorf("still holds %d bytes", held())
	}
	if got := a.Stats().Frames; got != 1+2*shrinkAfter {
		t.Errorf("%d frames", got)
	}
}

func TestAssemblerReset(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	push(t, a, "I first 0 0 |a", "audio first 1 5 A")
	a.Reset()
	got := push(t, a, "I middle 900 0 b", "audio last 901 5 B", "I first 902 40 |c", "I last 903 40 d")
	if want := []string{"!I 40 |cd"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if stats := a.Stats(); stats.Packets != 6 || stats.Orphans != 2 || stats.Gaps != 0 {
		t.Errorf("%+v", stats)
	}
}

// A vehicle whose frame never ends costs no more than the limit.
func TestAssemblerFrameWithoutEnd(t *testing.T) {
	a := NewAssembler(AssemblerOptions{MaxFrame: 1 << 20})
	p := Packet{DataType: DataI, Subpackage: SubpackageFirst, Body: make([]byte, 60000)}
	for range 1000 {
		if f, ok := a.Push(&p); ok {
			t.Fatalf("a frame of %d bytes", len(f.Data))
		}
		if held := cap(a.tracks[trackVideo].buf); held > 2<<20 {
			t.Fatalf("holds %d bytes", held)
		}
		p.Sequence++
		p.Subpackage = SubpackageMiddle
	}
	if got := a.Stats().OversizedFrames; got != 1 {
		t.Errorf("%d oversized frames", got)
	}
}

func TestAssemblerHeldAndTrim(t *testing.T) {
	a := NewAssembler(AssemblerOptions{})
	push := func(mark Subpackage) (Frame, bool) {
		return a.Push(&Packet{PayloadType: PayloadH264, Subpackage: mark, Sequence: uint16(a.Stats().Packets), Body: make([]byte, 900)})
	}
	if n := a.Held(); n != 0 {
		t.Errorf("a new one holds %d bytes", n)
	}
	push(SubpackageFirst)
	a.Trim()
	if n := a.Held(); n < 900 {
		t.Errorf("holds %d bytes of an unfinished frame of 900", n)
	}
	if f, ok := push(SubpackageLast); !ok || len(f.Data) != 1800 {
		t.Fatalf("got %d bytes, %v", len(f.Data), ok)
	}
	if a.Trim(); a.Held() != 0 {
		t.Errorf("holds %d bytes of nothing", a.Held())
	}

	push(SubpackageFirst)
	for range 100 {
		push(SubpackageMiddle)
	}
	push(SubpackageLast) // leaves a large buffer
	push(SubpackageFirst)
	push(SubpackageMiddle)
	push(SubpackageLast)
	push(SubpackageFirst) // begins in it
	if a.Trim(); a.Held() < 900 || a.Held() > 2000 {
		t.Errorf("holds %d bytes of an unfinished frame of 900", a.Held())
	}
	if f, ok := push(SubpackageLast); !ok || len(f.Data) != 1800 {
		t.Errorf("got %d bytes, %v", len(f.Data), ok)
	}
}
