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

// ffplay, and everything else made with FFmpeg, waits five seconds for a track that the SDP promises and that says
// nothing, before it shows a picture. So silence stands in for sound that has not come for silenceAfter, in packets of
// silencePacket samples.
const (
	silenceAfter  = 500 * time.Millisecond
	silencePacket = 320
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
	heard   bool
	heardAt int64 // how far the picture was when sound came last
}

// units returns the sound of one frame, none when it is to be left out because there is too much. The picture has come
// as far as picture, in this track's ticks.
func (s *sound) units(f *media.Frame, picture int64) ([]*unit, error) {
	pcm, err := s.decode(f)
	if err != nil || len(pcm) == 0 {
		return nil, err
	}
	s.heard, s.heardAt = true, picture
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

// silence returns what is missing until picture, where sound has stopped or never was.
func (s *sound) silence(picture int64) []*unit {
	if s.heard && trackAudio.duration(picture-s.heardAt) < silenceAfter {
		return nil
	}
	if !s.started || trackAudio.duration(picture-s.next) > 2*silenceAfter { // further back it is no use to anybody
		s.started, s.next = true, picture-silencePacket
	}
	var units []*unit
	for ; s.next+silencePacket <= picture; s.next += silencePacket {
		payload := silentALaw[:]
		if s.ulaw {
			payload = silentULaw[:]
		}
		units = append(units, &unit{track: trackAudio, timestamp: s.next, payloads: [][]byte{payload}, size: len(payload)})
	}
	return units
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
