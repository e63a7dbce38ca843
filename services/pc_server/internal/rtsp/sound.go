package rtsp

import (
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/media"
)

// Sound is timed by counting samples, which a player hears, and not by the vehicle's stamps, which come in bursts and
// in whole milliseconds. The stamps win when the two have come apart: by more than soundGap where sound is missing, by
// more than soundAhead where there is more of it than time.
const (
	soundGap   = 50 * time.Millisecond
	soundAhead = 300 * time.Millisecond
)

// ffplay, and everything else made with FFmpeg, waits five seconds for a track that the SDP promises and that says
// nothing, before it shows a picture. So silence stands in for sound that has not come for silenceAfter, in packets of
// silencePacket samples.
const (
	silenceAfter  = 500 * time.Millisecond
	silencePacket = 320
)

// sound turns the stream's sound into what the SDP offers: AAC as it is, and everything else as G.711. It belongs to one
// goroutine.
type sound struct {
	fixed bool // the SDP is made; before that, the offer follows what the vehicle sends
	coded bool // the offer is AAC
	ulaw  bool // else it is G.711: µ-law, or A-law
	aac   aac

	codec       media.Codec // of decoder
	payloadType uint8
	decoder     audio.Decoder
	failed      error // why there is no decoder
	resampler   *audio.Resampler
	rate        int // of resampler's input

	pcm, mono, resampled []int16 // scratch

	started bool
	next    int64 // timestamp of the sample that follows the last one sent
	heard   bool
	heardAt time.Duration // how far the picture was when sound came last
}

// units returns the sound of one frame, none when it is to be left out because there is too much. The picture has come
// as far as picture. An error may come with units: what was good before the damage.
func (s *sound) units(f *media.Frame, picture time.Duration) ([]*unit, error) {
	if f.Codec == media.CodecAAC {
		accessUnits, err := s.aac.parse(f, s.fixed && s.coded)
		if len(accessUnits) == 0 {
			return nil, err
		}
		if !s.offer(true, false) {
			return nil, errOffered
		}
		if !s.place(f.PTS, picture) {
			return nil, err
		}
		var units []*unit
		for _, accessUnit := range accessUnits {
			payloads, size := s.aac.payloads(accessUnit)
			if len(payloads) > 0 {
				units = append(units, &unit{track: trackAudio, marked: true, timestamp: s.next, payloads: payloads, size: size})
			}
			s.next += mpeg4audio.SamplesPerAccessUnit
		}
		return units, err
	}
	pcm, err := s.decode(f)
	if err != nil || len(pcm) == 0 {
		return nil, err
	}
	if !s.offer(false, f.Codec == media.CodecG711U) {
		return nil, errOffered
	}
	if !s.place(f.PTS, picture) {
		return nil, nil
	}
	var units []*unit
	for len(pcm) > 0 {
		n := min(len(pcm), maxPayload)
		payload := make([]byte, 0, n)
		if s.ulaw {
			payload = audio.EncodeULaw(payload, pcm[:n])
		} else {
			payload = audio.EncodeALaw(payload, pcm[:n])
		}
		units = append(units, &unit{track: trackAudio, timestamp: s.next, payloads: [][]byte{payload}, size: n})
		s.next += int64(n)
		pcm = pcm[n:]
	}
	return units, nil
}

// offer makes what the vehicle sends the offer, as long as there is no SDP, and reports whether it has a place in it.
func (s *sound) offer(coded, ulaw bool) bool {
	if s.fixed {
		return s.coded == coded
	}
	if coded || s.coded {
		s.started = false // the clock may have changed
	}
	s.coded, s.ulaw = coded, ulaw
	return true
}

func (s *sound) clock() clock {
	if s.coded {
		return clock(s.aac.config.SampleRate)
	}
	return g711Clock
}

// place sets the next sample's timestamp for sound of that time. It reports false when there is too much.
func (s *sound) place(pts, picture time.Duration) bool {
	s.heard, s.heardAt = true, picture
	timestamp := s.clock().ticks(pts)
	switch ahead := s.clock().duration(s.next - timestamp); {
	case !s.started, ahead < -soundGap:
		s.started, s.next = true, timestamp
	case ahead > soundAhead:
		return false
	}
	return true
}

// silence returns what is missing until picture, where sound has stopped or never was.
func (s *sound) silence(picture time.Duration) []*unit {
	if s.heard && picture-s.heardAt < silenceAfter {
		return nil
	}
	payloads, samples := s.silent()
	if payloads == nil {
		return nil
	}
	now := s.clock().ticks(picture)
	if !s.started || s.clock().duration(now-s.next) > 2*silenceAfter { // further back it is no use to anybody
		s.started, s.next = true, now-samples
	}
	var units []*unit
	for ; s.next+samples <= now; s.next += samples {
		units = append(units, &unit{track: trackAudio, marked: s.coded, timestamp: s.next, payloads: payloads, size: len(payloads[0])})
	}
	return units
}

// silent is a packet of silence and how many samples it has.
func (s *sound) silent() (payloads [][]byte, samples int64) {
	switch {
	case s.coded:
		return s.aac.silence(), mpeg4audio.SamplesPerAccessUnit
	case s.ulaw:
		return [][]byte{silentULaw[:]}, silencePacket
	}
	return [][]byte{silentALaw[:]}, silencePacket
}

var silentALaw, silentULaw = silent(0xd5), silent(0xff)

func silent(code byte) (packet [silencePacket]byte) {
	for i := range packet {
		packet[i] = code
	}
	return packet
}

// decode returns mono samples at 8 kHz, valid until the next call. G.711 comes out of it as it went in.
func (s *sound) decode(f *media.Frame) ([]int16, error) {
	if s.decoder == nil && s.failed == nil || f.Codec != s.codec || f.PayloadType != s.payloadType {
		s.codec, s.payloadType = f.Codec, f.PayloadType
		s.decoder, s.failed = audio.NewDecoder(f.Codec, f.PayloadType, audio.DecoderOptions{})
	}
	if s.failed != nil {
		return nil, s.failed
	}
	if timed, ok := s.decoder.(audio.Timed); ok {
		timed.At(f.VehicleTimestamp)
	}
	var err error
	if s.pcm, err = s.decoder.Decode(s.pcm[:0], f.Data); err != nil {
		return nil, err
	}
	pcm := s.pcm
	if s.decoder.Channels() == 2 {
		s.mono = s.mono[:0]
		for i := 0; i+1 < len(pcm); i += 2 {
			s.mono = append(s.mono, int16((int(pcm[i])+int(pcm[i+1]))/2))
		}
		pcm = s.mono
	}
	rate := s.decoder.SampleRate()
	if clock(rate) == g711Clock {
		return pcm, nil
	}
	if s.resampler == nil || s.rate != rate {
		if s.resampler, err = audio.NewResampler(rate, int(g711Clock)); err != nil {
			return nil, err
		}
		s.rate = rate
	}
	s.resampled = s.resampler.Resample(s.resampled[:0], pcm)
	return s.resampled, nil
}

// format is the track's entry in the SDP.
func (s *sound) format() format.Format {
	if s.coded {
		return s.aac.format()
	}
	payloadType := uint8(payloadTypeALaw)
	if s.ulaw {
		payloadType = payloadTypeULaw
	}
	return &format.G711{PayloadTyp: payloadType, MULaw: s.ulaw, SampleRate: int(g711Clock), ChannelCount: 1}
}
