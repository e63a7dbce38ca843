package flv

import (
	"github.com/bluenviron/gortmplib/pkg/amf0"

	"multi_process_server/pkg/media"
)

// codecIDAAC and codecIDHEVC are the ids that onMetaData names codecs by (E.4.2.1; Enhanced RTMP has the FourCC here).
const (
	codecIDAAC  = 10
	codecIDHEVC = 'h'<<24 | 'v'<<16 | 'c'<<8 | '1'
)

// Metadata is what a player may want to know before the first tag.
type Metadata struct {
	Video         media.Codec
	Width, Height int // pixels
	SampleRate    int // of the AAC track, Hz
}

// AMF0 is the metadata as the value of onMetaData, for a tag or an RTMP data message.
func (m Metadata) AMF0() amf0.ECMAArray {
	videoCodec := float64(codecAVC)
	if m.Video == media.CodecH265 {
		videoCodec = codecIDHEVC
	}
	return amf0.ECMAArray{
		{Key: "duration", Value: 0.0},
		{Key: "width", Value: float64(m.Width)},
		{Key: "height", Value: float64(m.Height)},
		{Key: "videocodecid", Value: videoCodec},
		{Key: "audiocodecid", Value: float64(codecIDAAC)},
		{Key: "audiosamplerate", Value: float64(m.SampleRate)},
		{Key: "audiosamplesize", Value: 16.0},
		{Key: "stereo", Value: false},
	}
}

// AppendMetadata writes the onMetaData tag (E.5). Its timestamp is 0 wherever it stands: FFmpeg takes any other for
// subtitles.
func AppendMetadata(dst []byte, m Metadata) []byte {
	start := len(dst)
	// Marshal fails for types that AMF0 does not have; there are none here.
	body, err := amf0.Data{"onMetaData", m.AMF0()}.Marshal()
	if err != nil {
		return dst
	}
	dst = appendTagHeader(dst, typeScript, len(body), 0)
	return AppendTrailer(append(dst, body...), start)
}
