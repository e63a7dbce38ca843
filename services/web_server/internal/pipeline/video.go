package pipeline

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"multi_process_server/pkg/media"
)

// videoTrack makes units of the vehicle's access units: NAL units split once, parameter sets kept aside and
// validated, decoding times found.
type videoTrack struct {
	metrics *Metrics

	codec   media.Codec
	sets    media.ParameterSets
	format  *Format // nil until the sets are complete
	started bool    // a key frame has come
	lastDTS time.Duration

	dts dtsExtractor
	// scratch for the NAL units of one access unit
	nalus, pictures [][]byte
}

// dtsExtractor finds decoding times from presentation times and the order of pictures.
type dtsExtractor interface {
	Extract(accessUnit [][]byte, pts int64) (int64, error)
}

// errorKind is what may be wrong with a video frame; it is counted.
type errorKind string

const (
	errorParameterSets errorKind = "parameter_sets"
	errorDTS           errorKind = "dts"
	errorCodec         errorKind = "codec"
)

// unit returns the unit of a frame, or nil when there is nothing to show yet. pts is on the stream's output clock.
// An error is for the log; the stream goes on.
func (v *videoTrack) unit(f *media.Frame, pts time.Duration) (*Unit, error) {
	if f.Codec != media.CodecH264 && f.Codec != media.CodecH265 {
		return nil, v.count(errorCodec, &unsupportedError{what: "video", codec: f.Codec})
	}
	if f.Codec != v.codec {
		*v = videoTrack{metrics: v.metrics, codec: f.Codec, lastDTS: v.lastDTS, nalus: v.nalus, pictures: v.pictures}
	}
	v.nalus = media.AppendNALUs(v.nalus[:0], f.Data)
	changed, err := v.sets.Observe(v.codec, v.nalus)
	if err != nil {
		_ = v.count(errorParameterSets, err) // the frame may be shown all the same
	}
	if changed && v.sets.Complete(v.codec) {
		format, formatErr := newVideoFormat(v.codec, &v.sets)
		if formatErr != nil {
			return nil, v.count(errorParameterSets, formatErr)
		}
		v.format = format
		v.dts = newDTSExtractor(v.codec)
	}
	key := media.ContainsKey(v.codec, v.nalus)
	if v.format == nil || !key && !v.started || !media.ContainsPicture(v.codec, v.nalus) {
		return nil, err
	}
	v.started = true
	dts := v.decodingTime(pts)
	return newVideoUnit(v.format, key, dts, max(pts.Truncate(time.Millisecond), dts), v.pictures), err
}

// decodingTime also leaves in v.pictures what a unit carries. A stream whose order of pictures cannot be followed is
// taken to be in order, and a time never stands still: players take it ill.
func (v *videoTrack) decodingTime(pts time.Duration) time.Duration {
	const sets = 2
	v.pictures = append(v.pictures[:0], v.sets.SPS, v.sets.PPS)
	for _, nalu := range v.nalus {
		if !discarded(v.codec, nalu[0]) {
			v.pictures = append(v.pictures, nalu)
		}
	}
	dts := pts
	if ticks, err := v.dts.Extract(v.pictures, int64(pts*9/100_000)); err == nil {
		dts = time.Duration(ticks) * 100_000 / 9
	} else {
		_ = v.count(errorDTS, err) // shown in the order in which it came
		v.dts = newDTSExtractor(v.codec)
	}
	v.pictures = v.pictures[sets:]
	dts = max(dts.Truncate(time.Millisecond), v.lastDTS+time.Millisecond)
	v.lastDTS = dts
	return dts
}

func (v *videoTrack) count(kind errorKind, err error) error {
	v.metrics.videoErrors.WithLabelValues(string(kind)).Inc()
	return err
}

func newDTSExtractor(codec media.Codec) dtsExtractor {
	if codec == media.CodecH265 {
		d := &h265.DTSExtractor{}
		d.Initialize()
		return d
	}
	d := &h264.DTSExtractor{}
	d.Initialize()
	return d
}

// discarded NAL units are not part of a container's sample: sets stand in the format, the others say nothing.
func discarded(codec media.Codec, header byte) bool {
	if codec == media.CodecH265 {
		switch h265.NALUType(header >> 1 & 0b111111) {
		case h265.NALUType_VPS_NUT, h265.NALUType_SPS_NUT, h265.NALUType_PPS_NUT, h265.NALUType_AUD_NUT, h265.NALUType_FD_NUT,
			h265.NALUType_EOS_NUT, h265.NALUType_EOB_NUT:
			return true
		}
		return false
	}
	switch h264.NALUType(header & 0x1F) {
	case h264.NALUTypeSPS, h264.NALUTypePPS, h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeFillerData,
		h264.NALUTypeEndOfSequence, h264.NALUTypeEndOfStream:
		return true
	}
	return false
}
