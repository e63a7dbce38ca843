package pipeline

import (
	"time"

	"multi_process_server/pkg/media"
	"multi_process_server/services/web_server/internal/flv"
)

// Format is how a track's units are to be decoded. It never changes; a track whose format changes gets another one,
// so outputs compare pointers.
type Format struct {
	Codec media.Codec // CodecH264, CodecH265 or CodecAAC
	// Record is the decoder's configuration: avcC or hvcC (ISO/IEC 14496-15), or the AudioSpecificConfig (14496-3).
	Record        []byte
	Width, Height int // video, pixels
	SampleRate    int // sound, Hz
	// Lead is a unit of silence, for an output that must have sound before the first picture.
	Lead []byte
}

// Unit is one access unit on its way to the outputs, which share it: nobody writes to it.
type Unit struct {
	Format *Format
	// Key: a decoder can start here. Every unit of sound can be started from and none is marked.
	Key bool
	// DTS and PTS are whole milliseconds of the stream's clock. Within a track DTS grows by a millisecond at least,
	// and PTS is never before DTS.
	DTS, PTS time.Duration
	// Payload is what containers carry: NAL units with four-byte lengths, without parameter sets and delimiters, or
	// one raw AAC unit.
	Payload []byte
	// tag is the payload within its FLV tag. Most have it from the beginning, as it costs 20 bytes more than the
	// payload alone and saves a copy for each viewer.
	tag []byte
}

// Video tells the picture's units from the sound's.
func (u *Unit) Video() bool { return u.Format.Codec != media.CodecAAC }

// Tag is the unit as an FLV tag.
func (u *Unit) Tag() []byte {
	if u.tag != nil {
		return u.tag
	}
	if !u.Video() {
		return flv.AppendAudio(nil, u.PTS, u.Payload)
	}
	tag := make([]byte, 0, flv.Overhead(u.Format.Codec)+len(u.Payload))
	tag = flv.AppendVideoPrefix(tag, u.Format.Codec, u.Key, u.DTS, u.PTS, len(u.Payload))
	return flv.AppendTrailer(append(tag, u.Payload...), 0)
}

// at returns the unit at another time. The payload stays shared.
func (u *Unit) at(dts, pts time.Duration) *Unit {
	return &Unit{Format: u.Format, Key: u.Key, DTS: dts, PTS: max(pts, dts), Payload: u.Payload}
}

// newVideoUnit copies the NAL units, which belong to a frame of the relay, into a tag.
func newVideoUnit(format *Format, key bool, dts, pts time.Duration, nalus [][]byte) *Unit {
	size := 0
	for _, nalu := range nalus {
		size += 4 + len(nalu)
	}
	tag := make([]byte, 0, flv.Overhead(format.Codec)+size)
	tag = flv.AppendVideoPrefix(tag, format.Codec, key, dts, pts, size)
	start := len(tag)
	for _, nalu := range nalus {
		n := len(nalu)
		tag = append(tag, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		tag = append(tag, nalu...)
	}
	payload := tag[start:len(tag):len(tag)]
	return &Unit{Format: format, Key: key, DTS: dts, PTS: pts, Payload: payload, tag: flv.AppendTrailer(tag, 0)}
}

// newAudioUnit copies the data, which belongs to the encoder.
func newAudioUnit(format *Format, pts time.Duration, data []byte) *Unit {
	tag := flv.AppendAudio(nil, pts, data)
	payload := tag[flv.AudioPrefix : flv.AudioPrefix+len(data)]
	return &Unit{Format: format, DTS: pts, PTS: pts, Payload: payload, tag: tag}
}
