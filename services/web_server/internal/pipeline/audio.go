package pipeline

import (
	"fmt"
	"time"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/media"
)

const (
	// silenceRate is the input rate of a track that has had no sound yet, in Hz: that of G.711, the field's usual.
	silenceRate = 8000
	// soundLate is how late a vehicle's sound may come, behind its picture, before silence is put in its place.
	soundLate = 300 * time.Millisecond
	// soundGone after the last sound the track is silent without waiting for more.
	soundGone = time.Second
	// driftAllowed between the count of samples and the vehicle's clock. Vehicles stamp sound in bursts, so only a
	// drift that every packet of driftWindow shows is one.
	driftAllowed = 100 * time.Millisecond
	driftWindow  = time.Second
	// maxRunIn bounds the samples that an encoder may swallow before its first unit: one unit and what it is behind, at
	// the highest rate that it resamples from.
	maxRunIn = 1 << 15
	// maxFill bounds the silence that is made at once; a longer gap is jumped over.
	maxFill = 3 * time.Second
)

// unsupportedError says which codec is not carried.
type unsupportedError struct {
	what  string
	codec media.Codec
}

func (e *unsupportedError) Error() string {
	return fmt.Sprintf("%s in %s cannot be carried by RTMP or FLV", e.what, e.codec)
}

// audioTrack makes an AAC track that never pauses: the vehicle's sound where there is some, silence elsewhere. Times
// follow from the number of samples, so that units adjoin exactly; the vehicle's clock is followed by putting in
// silence and cutting sound.
type audioTrack struct {
	metrics *Metrics

	decoder     audio.Decoder // nil: silence
	codec       media.Codec
	payloadType uint8
	known       bool // a decoder was looked for
	pcm         []int16

	encoder audio.AACEncoder // nil while no output wants sound
	format  *Format
	rate    int           // of the encoder's input, Hz
	base    time.Duration // time of the first sample that the encoder got
	fed     int64         // samples that the encoder got
	ranIn   int64         // of them, the silence of its run-in
	made    int64         // units that it gave
	from    time.Duration // no unit stands before it
	lastPTS time.Duration

	// Alignment of the vehicle's sound with the count of samples.
	heard              time.Duration // where its last packet ended
	hearing            bool
	driftMin, driftMax time.Duration
	driftFrom          time.Duration

	silence []int16
	units   []*Unit // scratch, valid until the next call
}

// start makes the encoder: the track begins at a time of the stream.
func (a *audioTrack) start(rate int, at time.Duration) error {
	encoder, err := audio.NewAACEncoder(rate)
	if err != nil {
		return fmt.Errorf("no sound: %w", err)
	}
	a.stop()
	a.encoder, a.rate = encoder, rate
	a.format = &Format{Codec: media.CodecAAC, Record: encoder.Config(), SampleRate: encoder.SampleRate()}
	a.fed, a.made = 0, 0
	if err := a.runIn(); err != nil {
		return err
	}
	a.begin(at)
	return nil
}

// runIn feeds silence up to the first unit.
func (a *audioTrack) runIn() error {
	chunk := make([]int16, 256)
	for a.made == 0 && a.fed < maxRunIn {
		units, err := a.encoder.Encode(chunk)
		if err != nil {
			a.stop()
			return fmt.Errorf("no sound: %w", err)
		}
		a.fed += int64(len(chunk))
		for _, unit := range units {
			a.made++
			a.format.Lead = append([]byte(nil), unit...)
		}
	}
	a.ranIn = a.fed
	return nil
}

// begin lets what comes next stand at a time of the stream.
func (a *audioTrack) begin(at time.Duration) {
	a.from = max(at, a.lastPTS)
	a.base = a.from - span(a.ranIn, a.rate)
}

// place moves a track that has had no sound yet to where the picture begins.
func (a *audioTrack) place(at time.Duration) {
	if a.fed == a.ranIn {
		a.begin(at)
	}
}

// stop gives the encoder back.
func (a *audioTrack) stop() {
	if a.encoder != nil {
		a.encoder.Close()
		a.encoder = nil
	}
	a.hearing, a.known = false, false
}

func (a *audioTrack) running() bool { return a.encoder != nil }

// end is the time up to which the encoder has samples.
func (a *audioTrack) end() time.Duration { return a.base + span(a.fed, a.rate) }

// write takes a packet of the vehicle's sound that begins at pts. The units are valid until the next call.
func (a *audioTrack) write(f *media.Frame, pts time.Duration) ([]*Unit, error) {
	a.units = a.units[:0]
	if a.encoder == nil {
		return nil, nil
	}
	if err := a.chooseDecoder(f); err != nil || a.decoder == nil {
		return nil, err
	}
	pcm, err := a.decoder.Decode(a.pcm[:0], f.Data)
	if err != nil {
		a.metrics.audioErrors.Inc()
		return nil, nil // counted; a packet's loss is not worth a line
	}
	a.pcm = pcm
	pcm = mono(pcm, a.decoder.Channels())
	if rate := a.decoder.SampleRate(); rate != a.rate {
		if err := a.start(rate, a.end()); err != nil {
			a.decoder = nil
			return nil, err
		}
	}
	if pcm, err = a.align(pcm, pts); err != nil {
		return nil, err
	}
	if err := a.encode(pcm); err != nil {
		return nil, err
	}
	return a.units, nil
}

// chooseDecoder fails once for a codec that is not supported, and leaves the track silent.
func (a *audioTrack) chooseDecoder(f *media.Frame) error {
	if a.known && f.Codec == a.codec && f.PayloadType == a.payloadType {
		return nil
	}
	a.known, a.codec, a.payloadType, a.hearing = true, f.Codec, f.PayloadType, false
	a.decoder = nil
	decoder, err := audio.NewDecoder(f.Codec, f.PayloadType, audio.DecoderOptions{})
	if err != nil {
		a.metrics.unsupported.WithLabelValues(f.Codec.String()).Inc()
		return fmt.Errorf("silence instead of sound: %w", err)
	}
	a.decoder = decoder
	return nil
}

// align puts silence before the packet's samples, or cuts their beginning, where they would not stand at their time.
func (a *audioTrack) align(pcm []int16, pts time.Duration) ([]int16, error) {
	drift := pts - a.end() // positive: the samples are short of the clock
	length := span(int64(len(pcm)), a.rate)
	if a.hearing && pts-a.heard < soundGone {
		a.driftMin, a.driftMax = min(a.driftMin, drift), max(a.driftMax, drift)
		if pts-a.driftFrom < driftWindow {
			drift = 0
		} else {
			switch {
			case a.driftMin > driftAllowed:
				drift = a.driftMin
			case a.driftMax < -driftAllowed:
				drift = a.driftMax
			default:
				drift = 0
			}
			a.openWindow(pts)
		}
		if drift != 0 {
			a.metrics.resyncs.Inc()
		}
	} else {
		a.openWindow(pts)
	}
	a.hearing, a.heard = true, pts+length
	if drift > 0 {
		return pcm, a.pad(a.end() + drift)
	}
	cut := min(int64(len(pcm)), samples(-drift, a.rate))
	return pcm[cut:], nil
}

func (a *audioTrack) openWindow(pts time.Duration) {
	a.driftFrom, a.driftMin, a.driftMax = pts, time.Hour, -time.Hour
}

// fill makes silence up to a time of the stream, leaving room for sound that is late.
func (a *audioTrack) fill(to time.Duration) ([]*Unit, error) {
	a.units = a.units[:0]
	if a.encoder == nil {
		return nil, nil
	}
	if a.hearing && to-a.heard < soundGone {
		to -= soundLate
	}
	if err := a.pad(to); err != nil {
		return nil, err
	}
	return a.units, nil
}

// pad encodes silence up to a time.
func (a *audioTrack) pad(to time.Duration) error {
	if to-a.end() > maxFill {
		// The encoder's last samples come out at their new place: a few milliseconds of the past.
		a.base += to - a.end()
		return nil
	}
	for n := samples(to-a.end(), a.rate); n > 0; {
		if a.silence == nil {
			a.silence = make([]int16, 1024)
		}
		chunk := min(n, int64(len(a.silence)))
		if err := a.encode(a.silence[:chunk]); err != nil {
			return err
		}
		n -= chunk
	}
	return nil
}

// encode appends to a.units. A unit's time is where its first sample stands, set back by what the encoder is behind;
// what would stand before the track's beginning is only the encoder's run-in.
func (a *audioTrack) encode(pcm []int16) error {
	a.fed += int64(len(pcm))
	units, err := a.encoder.Encode(pcm)
	if err != nil {
		a.metrics.audioErrors.Inc()
		a.stop()
		return fmt.Errorf("the stream goes on without sound: %w", err)
	}
	for _, data := range units {
		first := a.made*int64(a.encoder.FrameSamples()) - int64(a.encoder.Delay())
		a.made++
		pts := (a.base + span(first, a.encoder.SampleRate())).Truncate(time.Millisecond)
		if pts < a.from || pts <= a.lastPTS {
			continue
		}
		a.lastPTS = pts
		a.units = append(a.units, newAudioUnit(a.format, pts, data))
	}
	return nil
}

// mono mixes two channels in place.
func mono(pcm []int16, channels int) []int16 {
	if channels < 2 {
		return pcm
	}
	for i := range len(pcm) / 2 {
		pcm[i] = int16((int(pcm[2*i]) + int(pcm[2*i+1])) / 2)
	}
	return pcm[:len(pcm)/2]
}

// span is how long n samples last; samples how many fit into d, none when d is negative.
func span(n int64, rate int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(max(1, rate))
}

func samples(d time.Duration, rate int) int64 {
	return max(0, int64(d)*int64(rate)/int64(time.Second))
}
