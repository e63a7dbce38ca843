package audio

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"multi_process_server/pkg/media"
)

// g726Packets encodes in packets of 320 samples.
func g726Packets(t testing.TB, bits int, order Order, pcm []int16) [][]byte {
	t.Helper()
	e, err := NewEncoder(media.CodecG726, 8, EncoderOptions{G726BitRate: 8000 * bits, Order: order})
	if err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	for _, packet := range chunks(pcm, 320) {
		packets = append(packets, e.Encode(nil, packet))
	}
	return packets
}

func ffmpegG726(t *testing.T, bits int, order Order, body []byte) []int16 {
	t.Helper()
	format := "g726"
	if order == OrderLowFirst {
		format = "g726le"
	}
	return samplesLE(ffmpeg(t, body, "-f", format, "-code_size", fmt.Sprint(bits), "-ar", "8000", "-i", "-", "-f", "s16le", "-"))
}

// Bit for bit as ffmpeg, on speech and on codes that no encoder would make; but ffmpeg wraps around where 16 bits do
// not hold the sample. (Noise is short: in the long run a product overflows, which FMULT masks and ffmpeg does not.)
func TestItem03G726AsFFmpeg(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 26))
	for bits := 2; bits <= 5; bits++ {
		noise := make([]byte, 400*bits)
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		for _, order := range []Order{OrderHighFirst, OrderLowFirst} {
			voice := slices.Concat(g726Packets(t, bits, order, speech(16000))...)
			for name, body := range map[string][]byte{"speech": voice, "noise": noise} {
				want := ffmpegG726(t, bits, order, body)
				d := mustDecoder(t, media.CodecG726, 8, DecoderOptions{G726BitRate: 8000 * bits, Order: order})
				got := decodeAll(t, d, chunks(body, 40*bits))
				name = fmt.Sprintf("%d bits, order %d, %s", bits, order, name)
				if saturated := compareG726(t, name, got, want); saturated > 0 && !bytes.Equal(body, noise) {
					t.Errorf("%s: %d samples of speech saturate", name, saturated)
				}
			}
		}
	}
}

// compareG726 wants the same samples, but for those that ffmpeg wrapped around.
func compareG726(t *testing.T, name string, got, want []int16) (saturated int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d samples, want %d", name, len(got), len(want))
	}
	for i := range got {
		if got[i] == 32767 && want[i] < 0 || got[i] == -32768 && want[i] > 0 {
			saturated++
		} else if got[i] != want[i] {
			t.Fatalf("%s: sample %d is %d, want %d", name, i, got[i], want[i])
		}
	}
	return saturated
}

func TestItem03G726RecordingAsFFmpeg(t *testing.T) {
	body := recording(t, "glaciall-g726-32k-msb.g726")
	want := ffmpegG726(t, 4, OrderHighFirst, body)
	d := mustDecoder(t, media.CodecG726, 8, DecoderOptions{})
	got := decodeAll(t, d, chunks(body, 160))
	t.Logf("%d of %d samples saturate", compareG726(t, "recording", got, want), len(got))
	if v := d.(*packetDecoder).decoder.(*g726Decoder).vote; !v.closed || v.other() {
		t.Errorf("order: %+v", v)
	}
}

// The recording and speech at each rate, in either order: decided, and decided right.
func TestItem03G726OrderIsFound(t *testing.T) {
	check := func(name string, high [][]byte, bits int, order Order, packets [][]byte) {
		t.Helper()
		d := mustDecoder(t, media.CodecG726, 8, DecoderOptions{})
		got := decodeAll(t, d, packets)
		v := d.(*packetDecoder).decoder.(*g726Decoder).vote
		if !v.closed || v.other() != (order == OrderLowFirst) {
			t.Errorf("%s, %d bits, order %d: %+v", name, bits, order, v)
		}
		want := decodeAll(t, mustDecoder(t, media.CodecG726, 8, DecoderOptions{Order: OrderHighFirst}), high)
		last := len(want) - 8000
		if !slices.Equal(got[last:], want[last:]) {
			t.Errorf("%s, %d bits, order %d: differs at the end", name, bits, order)
		}
		t.Logf("%s, %d bits, order %d: decided after %.1f s", name, bits, order, float64(v.packets)*0.04)
	}
	for bits := 2; bits <= 5; bits++ {
		high := g726Packets(t, bits, OrderHighFirst, speech(80000))
		check("speech", high, bits, OrderHighFirst, high)
		check("speech", high, bits, OrderLowFirst, g726Packets(t, bits, OrderLowFirst, speech(80000)))
	}
	high := chunks(recording(t, "glaciall-g726-32k-msb.g726"), 160)
	var low [][]byte
	for _, packet := range high {
		low = append(low, swapNibbles(packet))
	}
	check("recording", high, 4, OrderHighFirst, high)
	check("recording", high, 4, OrderLowFirst, low)
}

func TestItem03G726OrderByOption(t *testing.T) {
	packets := g726Packets(t, 3, OrderLowFirst, speech(3200))
	got := decodeAll(t, mustDecoder(t, media.CodecG726, 8, DecoderOptions{Order: OrderLowFirst}), packets)
	if db := snr(speech(3200), got); db < 12 {
		t.Errorf("%.1f dB", db)
	}
}

func TestItem04G726RateByLength(t *testing.T) {
	for bits := 2; bits <= 5; bits++ {
		d := mustDecoder(t, media.CodecG726, 8, DecoderOptions{})
		pcm := speech(3200)
		got := decodeAll(t, d, g726Packets(t, bits, OrderHighFirst, pcm))
		if db := snr(pcm, got); len(got) != len(pcm) || db < 8 {
			t.Errorf("%d bits: %d samples, want %d; %.1f dB", bits, len(got), len(pcm), db)
		}
	}
	for length, bits := range map[int]int{80: 2, 120: 3, 160: 4, 200: 5, 40: 2, 60: 3, 100: 5, 240: 3, 320: 4, 400: 5} {
		if got, ok := g726BitsByLength(length); got != bits || !ok {
			t.Errorf("%d bytes: %d bits, want %d", length, got, bits)
		}
	}
	if bits, ok := g726BitsByLength(77); bits != 4 || ok {
		t.Errorf("77 bytes: %d bits, %v", bits, ok)
	}
}

// 80 bytes are 40 ms at 16 kbit/s by their length; at 20 ms a packet they are 32 kbit/s.
func TestItem04G726RateByTimestamps(t *testing.T) {
	steps := map[string]func(i int) uint64{
		"even":        func(i int) uint64 { return uint64(20 * i) },
		"jitter":      func(i int) uint64 { return uint64(20*i + []int{0, 7, -6, 3}[i%4] + 10) },
		"in pairs":    func(i int) uint64 { return uint64(40 * (i / 2)) },
		"from a time": func(i int) uint64 { return 1_700_000_000_000 + uint64(20*i) },
	}
	for name, at := range steps {
		d := mustDecoder(t, media.CodecG726, 8, DecoderOptions{})
		e, err := NewEncoder(media.CodecG726, 8, EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		samples := 0
		for i, packet := range chunks(speech(8000), 160) {
			d.(Timed).At(at(i))
			pcm, err := d.Decode(nil, e.Encode(nil, packet))
			if err != nil {
				t.Fatal(err)
			}
			samples = len(pcm)
		}
		if samples != 160 {
			t.Errorf("%s: %d samples of 80 bytes, want 160", name, samples)
		}
	}
}

// Timestamps that tell nothing leave the length to decide.
func TestItem04G726UselessTimestamps(t *testing.T) {
	steps := map[string]func(i int) uint64{
		"constant":    func(int) uint64 { return 5 },
		"wild":        func(i int) uint64 { return uint64(i * i * 977 % 1000) },
		"backwards":   func(i int) uint64 { return uint64(100000 - 40*i) },
		"pauses":      func(i int) uint64 { return uint64(40*i + i/5*400) },
		"hours apart": func(i int) uint64 { return uint64(i) * 3_600_000 },
		"at the end":  func(i int) uint64 { return ^uint64(0) - uint64(40*i) },
	}
	for name, at := range steps {
		d := mustDecoder(t, media.CodecG726, 8, DecoderOptions{})
		for i, packet := range g726Packets(t, 4, OrderHighFirst, speech(16000)) {
			d.(Timed).At(at(i))
			if pcm, err := d.Decode(nil, packet); err != nil || len(pcm) != 320 {
				t.Fatalf("%s: packet %d gave %d samples, %v", name, i, len(pcm), err)
			}
		}
	}
}

func TestItem04G726RateByOption(t *testing.T) {
	d := mustDecoder(t, media.CodecG726, 8, DecoderOptions{G726BitRate: 40000})
	if pcm, err := d.Decode(nil, make([]byte, 80)); err != nil || len(pcm) != 128 {
		t.Errorf("%d samples, %v", len(pcm), err)
	}
}
