package rtsp

import (
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format"

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

// sound turns the stream's sound, whatever it is, into the G.711 that the SDP offers. It belongs to one goroutine.
type sound struct {
	ulaw bool // the SDP offers µ-law, else A-law

	codec       media.Codec // of decoder
	payloadType uint8
	decoder     audio.Decoder
	failed      error // why there is no decoder
	resampler   *audio.Resampler
	rate        int // of resampler's input

	pcm, mono, resampled []int16 // scratch

	started bool
	next    int64 // timestamp of the sample that follows the last one sent
}

// units returns the sound of one frame, none when it is to be left out because there is too much.
func (s *sound) units(f *media.Frame) ([]*unit, error) {
	pcm, err := s.decode(f)
	if err != nil || len(pcm) == 0 {
		return nil, err
	}
	timestamp := trackAudio.ticks(f.PTS)
	switch ahead := trackAudio.duration(s.next - timestamp); {
	case !s.started, ahead < -soundGap:
		s.started, s.next = true, timestamp
	case ahead > soundAhead:
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

// decode returns mono samples at 8 kHz, valid until the next call. G.711 comes out of it as it went in.
func (s *sound) decode(f *media.Frame) ([]int16, error) {
	if s.decoder == nil && s.failed == nil || f.Codec != s.codec || f.PayloadType != s.payloadType {
		s.codec, s.payloadType = f.Codec, f.PayloadType
		s.decoder, s.failed = audio.NewDecoder(f.Codec, f.PayloadType, audio.DecoderOptions{})
	}
	if s.failed != nil {
		return nil, s.failed
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
	if int64(rate) == clockRates[trackAudio] {
		return pcm, nil
	}
	if s.resampler == nil || s.rate != rate {
		if s.resampler, err = audio.NewResampler(rate, int(clockRates[trackAudio])); err != nil {
			return nil, err
		}
		s.rate = rate
	}
	s.resampled = s.resampler.Resample(s.resampled[:0], pcm)
	return s.resampled, nil
}

// format is the track's entry in the SDP.
func (s *sound) format() format.Format {
	payloadType := uint8(payloadTypeALaw)
	if s.ulaw {
		payloadType = payloadTypeULaw
	}
	return &format.G711{PayloadTyp: payloadType, MULaw: s.ulaw, SampleRate: int(clockRates[trackAudio]), ChannelCount: 1}
}
