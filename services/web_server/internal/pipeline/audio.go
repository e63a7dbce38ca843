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
	// maxCut bounds the sound that is cut for being behind. What is further behind is stamped by another clock than the
	// picture and plays as it comes: cutting it would mean never to hear it.
	maxCut = 10 * time.Second
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
// silence and cutting sound. What arrives as AAC is passed on, all else is decoded and encoded.
type audioTrack struct {
	metrics *Metrics

	decoder     audio.Decoder // nil: silence
	codec       media.Codec
	payloadType uint8
	known       bool // a decoder was looked for
	pcm         []int16
	vehicle     vehicleAAC

	format  *Format          // of what comes out; nil while no output wants sound
	encoder audio.AACEncoder // nil while the vehicle's AAC is passed on
	rate    int              // of the encoder's input or of the vehicle's AAC, Hz
	base    time.Duration    // time of the first sample
	fed     int64            // samples that the encoder got or that were passed on
	ranIn   int64            // of them, the silence of the encoder's run-in
	made    int64            // units that the encoder gave
	from    time.Duration    // no unit stands before it
	lastPTS time.Duration
	next    time.Duration // where the last unit ends

	// Alignment of the vehicle's sound with the count of samples.
	heard              time.Duration // where its last packet ended
	hearing            bool
	driftMin, driftMax time.Duration
	driftFrom          time.Duration
	cut                int64 // samples that are still to be cut from the packets to come

	silence []int16
	units   []*Unit // scratch, valid until the next call
}

// open lets the track begin at a time of the stream, with silence like the sound that came last.
func (a *audioTrack) open(at time.Duration) error {
	if a.vehicle.format != nil {
		a.passOn(at)
		return nil
	}
	return a.start(silenceRate, at)
}

// start makes the encoder: the track goes on where the last unit ends, but not before a time of the stream.
func (a *audioTrack) start(rate int, at time.Duration) error {
	encoder, err := audio.NewAACEncoder(rate)
	if err != nil {
		return fmt.Errorf("no sound: %w", err)
	}
	a.release()
	a.encoder, a.rate = encoder, rate
	a.vehicle = vehicleAAC{units: a.vehicle.units}
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

// begin lets the next unit stand at a time of the stream, or where the last one ends. The samples of an encoder's run-in
// end there or less than a unit before, so that none of the vehicle's is lost.
func (a *audioTrack) begin(at time.Duration) {
	a.from = max(at, a.next).Truncate(time.Millisecond)
	a.base = a.from
	if a.encoder != nil {
		rate, unit, delay := a.encoder.SampleRate(), int64(a.encoder.FrameSamples()), int64(a.encoder.Delay())
		ranIn := samples(span(a.ranIn, a.rate), rate) + 1
		units := (ranIn + delay + unit - 1) / unit
		a.base -= span(units*unit-delay, rate)
	}
}

// place moves a track that has had no sound yet to where the picture begins.
func (a *audioTrack) place(at time.Duration) {
	if a.fed == a.ranIn {
		a.begin(at)
	}
}

// release gives the encoder back; the decoder stays, with what it has found out about the vehicle's sound.
func (a *audioTrack) release() {
	if a.encoder != nil {
		a.encoder.Close()
		a.encoder = nil
	}
	a.hearing, a.cut = false, 0
}

// stop ends the track. It misses packets from now on, so whatever comes later is for another decoder.
func (a *audioTrack) stop() {
	a.release()
	a.known, a.format = false, nil
}

func (a *audioTrack) running() bool { return a.format != nil }

// end is the time up to which there are samples.
func (a *audioTrack) end() time.Duration { return a.base + span(a.fed, a.rate) }

// write takes a packet of the vehicle's sound that begins at pts. The units are valid until the next call.
func (a *audioTrack) write(f *media.Frame, pts time.Duration) ([]*Unit, error) {
	a.units = a.units[:0]
	if !a.running() {
		return nil, nil
	}
	if f.Codec == media.CodecAAC {
		err := a.pass(f, pts)
		return a.units, err
	}
	if err := a.chooseDecoder(f); err != nil || a.decoder == nil {
		return nil, err
	}
	if timed, ok := a.decoder.(audio.Timed); ok {
		timed.At(f.VehicleTimestamp)
	}
	pcm, err := a.decoder.Decode(a.pcm[:0], f.Data)
	if err != nil {
		a.metrics.audioErrors.Inc()
		return nil, nil //nolint:nilerr // counted; a packet's loss is not worth a line
	}
	a.pcm = pcm
	pcm = mono(pcm, a.decoder.Channels())
	if rate := a.decoder.SampleRate(); a.encoder == nil || rate != a.rate {
		if err := a.start(rate, a.from); err != nil {
			a.decoder = nil
			return nil, err
		}
	}
	if err := a.align(int64(len(pcm)), pts); err != nil {
		return nil, err
	}
	cut := min(a.cut, int64(len(pcm)))
	a.cut -= cut
	if err := a.encode(pcm[cut:]); err != nil {
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

// align puts silence before a packet of n samples, or finds what to cut, where they would not stand at their time.
func (a *audioTrack) align(n int64, pts time.Duration) error {
	drift := pts - a.end() // positive: the samples are short of the clock
	if drift >= 0 {
		a.cut = 0
	}
	if a.hearing && pts-a.heard < soundGone {
		drift = a.lasting(drift+span(a.cut, a.rate), pts)
	} else {
		a.cut = 0
		a.openWindow(pts)
	}
	a.hearing, a.heard = true, pts+span(n, a.rate)
	if drift == 0 {
		return nil
	}
	drift -= span(a.cut, a.rate)
	a.cut = 0
	if drift > 0 {
		return a.pad(a.end() + drift)
	}
	if drift > -maxCut {
		a.cut = samples(-drift, a.rate)
	}
	return nil
}

// lasting is the part of a packet's drift that all packets of a window have had, once it is to be put right.
func (a *audioTrack) lasting(drift, pts time.Duration) time.Duration {
	a.driftMin, a.driftMax = min(a.driftMin, drift), max(a.driftMax, drift)
	if pts-a.driftFrom < driftWindow {
		return 0
	}
	least, most := a.driftMin, a.driftMax
	a.openWindow(pts)
	switch {
	case least > driftAllowed:
		drift = least
	case most < -driftAllowed:
		drift = most
	default:
		return 0
	}
	a.metrics.resyncs.Inc()
	return drift
}

func (a *audioTrack) openWindow(pts time.Duration) {
	a.driftFrom, a.driftMin, a.driftMax = pts, time.Hour, -time.Hour
}

// fill makes silence up to a time of the stream, leaving room for sound that is late.
func (a *audioTrack) fill(to time.Duration) ([]*Unit, error) {
	a.units = a.units[:0]
	if !a.running() {
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

// pad puts in silence up to a time; between units of the vehicle's AAC it is whole units, to the nearest.
func (a *audioTrack) pad(to time.Duration) error {
	if to-a.end() > maxFill {
		// The encoder's last samples come out at their new place: a few milliseconds of the past.
		a.base += to - a.end()
		return nil
	}
	n := samples(to-a.end(), a.rate)
	if a.encoder == nil {
		for ; n >= aacFrame/2; n -= aacFrame {
			a.emit(a.format.Lead)
		}
		return nil
	}
	for n > 0 {
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
		first := a.made*aacFrame - int64(a.encoder.Delay())
		a.made++
		a.append(a.base+span(first, a.encoder.SampleRate()), data)
	}
	return nil
}

// append adds to a.units what stands where a unit may stand. The data is copied.
func (a *audioTrack) append(at time.Duration, data []byte) {
	pts := at.Truncate(time.Millisecond)
	if pts < a.from || pts <= a.lastPTS {
		return
	}
	a.lastPTS, a.next = pts, at+span(aacFrame, a.format.SampleRate)
	a.units = append(a.units, newAudioUnit(a.format, pts, data))
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

// span is how long n samples last, and samples how many fit into d, none when d is negative. Whole seconds are counted
// apart: n in nanoseconds would overflow after two days.
func span(n int64, rate int) time.Duration {
	perSecond := int64(max(1, rate))
	return time.Duration(n/perSecond)*time.Second + time.Duration(n%perSecond)*time.Second/time.Duration(perSecond)
}

func samples(d time.Duration, rate int) int64 {
	perSecond := int64(rate)
	return max(0, int64(d/time.Second)*perSecond+int64(d%time.Second)*perSecond/int64(time.Second))
}
