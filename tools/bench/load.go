package main

import (
	"bytes"
	"context"
	"flag"
	"math"
	"sync/atomic"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/tools/internal/simvehicle"
	"multi_process_server/tools/vehicle/clip"
)

// What a vehicle sends: the built-in clip, without sound, made 1.14 Mbit/s on the wire.
const (
	streamBits = 1_140_000 // a second, headers included
	fps        = clip.FPS
	group      = 2 * time.Second // between key frames
	// firstWatched and firstIdle are the first SIMs of vehicles that send at once, and of those that wait to be told.
	firstSending = "013900000000"
	firstIdle    = "013800000000"
)

// newLoad is vehicles: with --media they send there, unasked; with --gateway they wait to be told.
func newLoad(f *flag.FlagSet) helperFunc {
	first := f.String("first", firstSending, "")
	count := f.Int("count", 1, "")
	mediaAddress := f.String("media", "", "")
	gateway := f.String("gateway", "", "")
	return func(ctx context.Context, ready func(counters)) error {
		sims, err := sims(*first, *count)
		if err != nil {
			return err
		}
		var contents [clip.Cameras]*simvehicle.Content
		for i := range contents {
			if contents[i], err = simvehicle.NewContent(simvehicle.ContentOptions{Video: pad(clip.Camera(uint8(i + 1))), FPS: fps}); err != nil {
				return err
			}
		}
		var online atomic.Int64
		ready(counters{
			"streams": simvehicle.Totals.Streams.Load,
			"frames":  simvehicle.Totals.Frames.Load,
			"bytes":   simvehicle.Totals.Bytes.Load,
			"late":    simvehicle.Totals.Late.Load,
			"online":  online.Load,
		})
		began := time.Now()
		for i, sim := range sims {
			if pause(ctx, time.Until(began.Add(startOf(i, *count)))) != nil {
				return nil
			}
			content := contents[i%len(contents)]
			v := &simvehicle.Vehicle{
				SIM: sim, Media: *mediaAddress, Gateway: *gateway, NoSound: true,
				Content: func(uint8, bool) *simvehicle.Content { return content },
				Notify: func(e simvehicle.Event) {
					if e.Kind == simvehicle.EventOnline {
						online.Add(1)
					}
				},
			}
			v.Start()
			defer v.Close()
		}
		<-ctx.Done()
		return nil
	}
}

// startOf is when a vehicle of many is switched on. A stream begins with a key frame, so that the key frames of all are
// spread evenly over a group of pictures, and the frames, by the golden ratio, over the time of one.
func startOf(i, count int) time.Duration {
	_, phase := math.Modf(float64(i) * (math.Phi - 1))
	return group*time.Duration(i)/time.Duration(count) + time.Duration(phase*float64(time.Second/fps))
}

func sims(first string, count int) ([]jt1078.SIM, error) {
	sim, err := jt1078.ParseSIM(first)
	if err != nil {
		return nil, err
	}
	return simvehicle.SIMRange(sim, count), nil
}

// pad makes the slices of a clip longer, all by the same factor, to come to streamBits. The filling is behind what a
// decoder would read, and nobody decodes here.
func pad(video []byte) []byte {
	const header = 30 // bytes of a packet
	frames := 0
	for nalu := range nalus(video) {
		if isSlice(nalu) {
			frames++
		}
	}
	packets := float64(streamBits) / 8 * float64(frames) / fps / (jt1078.MaxStandardBody + header)
	want := packets*jt1078.MaxStandardBody - header/2*float64(frames) // frames fill half of their last packet
	factor := max(want/float64(len(video))-1, 0)
	var padded []byte
	for nalu := range nalus(video) {
		padded = append(append(padded, 0, 0, 0, 1), nalu...)
		if isSlice(nalu) {
			padded = append(padded, bytes.Repeat([]byte{0x5a}, int(factor*float64(len(nalu))))...)
		}
	}
	return padded
}

// nalus of Annex B.
func nalus(video []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for nalu := range bytes.SplitSeq(video, []byte{0, 0, 1}) {
			if nalu = bytes.TrimRight(nalu, "\x00"); len(nalu) > 0 && !yield(nalu) {
				return
			}
		}
	}
}

func isSlice(nalu []byte) bool { return media.ContainsPicture(media.CodecH264, [][]byte{nalu}) }
