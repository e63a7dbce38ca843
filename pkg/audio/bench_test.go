//go:build unix

package audio

import (
	"syscall"
	"testing"
	"time"

	"multi_process_server/pkg/media"
)

// cpuTime is what the process has used so far: unlike the clock it does not count what others do on the machine.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// reportCore says how much of a core one stream takes, if a round is so much of its sound.
func reportCore(b *testing.B, start time.Duration, round time.Duration) {
	b.ReportMetric(float64(cpuTime()-start)/float64(b.N)/float64(round)*100, "%core")
}

// One packet of 40 ms a round.
func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name  string
		codec media.Codec
		opts  EncoderOptions
	}{
		{"G711A", media.CodecG711A, EncoderOptions{}}, {"G711U", media.CodecG711U, EncoderOptions{}},
		{"G726-16", media.CodecG726, EncoderOptions{G726BitRate: 16000}}, {"G726-24", media.CodecG726, EncoderOptions{G726BitRate: 24000}},
		{"G726-32", media.CodecG726, EncoderOptions{G726BitRate: 32000}}, {"G726-40", media.CodecG726, EncoderOptions{G726BitRate: 40000}},
		{"ADPCM", media.CodecADPCM, EncoderOptions{HiSilicon: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, err := NewEncoder(c.codec, 0, c.opts)
			if err != nil {
				b.Fatal(err)
			}
			var packets [][]byte
			for _, packet := range chunks(speech(80000), 320) {
				packets = append(packets, e.Encode(nil, packet))
			}
			d := mustDecoder(b, c.codec, 0, DecoderOptions{})
			benchmarkPackets(b, d, packets)
		})
	}
	b.Run("S16BE", func(b *testing.B) {
		benchmarkPackets(b, mustDecoder(b, media.CodecPCM, 16, DecoderOptions{}), chunks(bytesBE(speech(80000)), 640))
	})
}

func benchmarkPackets(b *testing.B, d Decoder, packets [][]byte) {
	dst := make([]int16, 0, 1024)
	for _, packet := range packets { // past what is detected at the start
		if _, err := d.Decode(dst, packet); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	start, i := cpuTime(), 0
	for b.Loop() {
		if _, err := d.Decode(dst, packets[i%len(packets)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	reportCore(b, start, 40*time.Millisecond)
}

func BenchmarkResample8To48kHz(b *testing.B) {
	r, err := NewResampler(8000, 48000)
	if err != nil {
		b.Fatal(err)
	}
	pcm, dst := speech(320), make([]int16, 0, 4096)
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		r.Resample(dst, pcm)
	}
	reportCore(b, start, 40*time.Millisecond)
}

// G.711A to AAC: a second of voice a round, in packets of 40 ms.
func BenchmarkAACEncode(b *testing.B) {
	e, err := NewAACEncoder(8000)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	var packets [][]byte
	for _, packet := range chunks(speech(8000), 320) {
		packets = append(packets, EncodeALaw(nil, packet))
	}
	pcm := make([]int16, 0, 320)
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		for _, packet := range packets {
			pcm = DecodeALaw(pcm[:0], packet)
			if _, err := e.Encode(pcm); err != nil {
				b.Fatal(err)
			}
		}
	}
	reportCore(b, start, time.Second)
}

// What a stream's encoder holds.
func BenchmarkAACMemory(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		e, err := NewAACEncoder(8000)
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}
