// Package media is what the services say about pictures and sound: Frame and its Codec, access units and parameter
// sets, the stream's clock and the cache of the current group of pictures.
package media

import "time"

// Codec is what a frame's data is. The values go over the relay (proto/relay/v1, enum Codec) and never change.
type Codec uint8

// Codecs of JT/T 1078-2016 table 12, as far as they differ for a decoder.
const (
	CodecUnknown          Codec = 0
	CodecH264             Codec = 1
	CodecH265             Codec = 2
	CodecAVS              Codec = 3
	CodecSVAC             Codec = 4
	CodecG711A            Codec = 16
	CodecG711U            Codec = 17
	CodecG726             Codec = 18
	CodecADPCM            Codec = 19
	CodecDVI4             Codec = 20
	CodecLPCM             Codec = 21
	CodecPCM              Codec = 22
	CodecAAC              Codec = 23
	CodecMPEGAudio        Codec = 24
	CodecUnsupportedAudio Codec = 25
	CodecData             Codec = 48
)

// String is the codec's usual name.
func (c Codec) String() string {
	switch c {
	case CodecH264:
		return "H.264"
	case CodecH265:
		return "H.265"
	case CodecAVS:
		return "AVS"
	case CodecSVAC:
		return "SVAC"
	case CodecG711A:
		return "G.711A"
	case CodecG711U:
		return "G.711U"
	case CodecG726:
		return "G.726"
	case CodecADPCM:
		return "ADPCM"
	case CodecDVI4:
		return "DVI4"
	case CodecLPCM:
		return "LPCM"
	case CodecPCM:
		return "PCM"
	case CodecAAC:
		return "AAC"
	case CodecMPEGAudio:
		return "MPEG audio"
	case CodecUnsupportedAudio:
		return "unsupported audio"
	case CodecData:
		return "data"
	}
	return "unknown"
}

// FrameType tells what a frame can be used for. The values go over the relay and never change.
type FrameType uint8

// Frame types.
const (
	FrameKey           FrameType = 1 // video access unit that a decoder can start from
	FrameDelta         FrameType = 2 // video access unit that needs earlier ones
	FrameParameterSets FrameType = 3 // VPS/SPS/PPS alone, Annex B
	FrameAudio         FrameType = 4
	FrameData          FrameType = 5 // passthrough
)

// Video reports whether the frame belongs to the video track.
func (t FrameType) Video() bool { return t >= FrameKey && t <= FrameParameterSets }

// Frame is one access unit, one packet of sound or one passthrough message.
type Frame struct {
	// Sequence counts every frame of the stream from 1; a gap means that frames were lost on the way to us.
	Sequence uint64
	Type     FrameType
	Codec    Codec
	// PayloadType as the vehicle wrote it (JT/T 1078-2016 table 12).
	PayloadType uint8
	// PTS on the stream's own clock, which starts near 0 and never goes back within a track.
	PTS time.Duration
	// Received is when the frame's last byte reached jt1078_server.
	Received time.Time
	// VehicleTimestamp is the packet header's, in ms, untouched.
	VehicleTimestamp uint64
	// Data is Annex B for video, the packet's body for sound. It is shared and must not be written to.
	Data []byte
}
