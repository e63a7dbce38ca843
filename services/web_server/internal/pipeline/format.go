package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"multi_process_server/pkg/media"
)

// newVideoFormat describes the stream that complete, validated parameter sets begin.
func newVideoFormat(codec media.Codec, sets *media.ParameterSets) (*Format, error) {
	f := &Format{Codec: codec}
	f.Width, f.Height = sets.Size(codec)
	var err error
	switch codec {
	case media.CodecH264:
		f.Record, err = avcRecord(sets.SPS, sets.PPS)
	case media.CodecH265:
		f.Record, err = hevcRecord(sets.VPS, sets.SPS, sets.PPS)
	default:
		err = errors.New("no container here carries it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", codec, err)
	}
	return f, nil
}

// avcRecord is the AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2) with lengths of four bytes.
func avcRecord(sps, pps []byte) ([]byte, error) {
	var s h264.SPS
	if err := s.Unmarshal(sps); err != nil {
		return nil, fmt.Errorf("SPS: %w", err)
	}
	b := []byte{1, sps[1], sps[2], sps[3], 0b11111100 | 3, 0b11100000 | 1}
	b = appendSet(b, sps)
	b = append(b, 1)
	b = appendSet(b, pps)
	switch s.ProfileIdc {
	case 100, 110, 122, 144: // the High profiles say a little more
		b = append(b, 0b11111100|byte(s.ChromaFormatIdc), 0b11111000|byte(s.BitDepthLumaMinus8), 0b11111000|byte(s.BitDepthChromaMinus8), 0)
	}
	return b, nil
}

// hevcRecord is the HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1.2) with lengths of four bytes.
func hevcRecord(vps, sps, pps []byte) ([]byte, error) {
	var s h265.SPS
	if err := s.Unmarshal(sps); err != nil {
		return nil, fmt.Errorf("SPS: %w", err)
	}
	// profile_tier_level begins in the fourth byte of the SPS: 12 bytes of general_ fields (ITU-T H.265, 7.3.3), which
	// the record repeats as they are. A zero before them is never an emulation prevention's, but there may be some within.
	raw := h264.EmulationPreventionRemove(sps)
	if len(raw) < 15 {
		return nil, errors.New("SPS: too short")
	}
	b := append([]byte{1}, raw[3:15]...)
	b = append(b,
		0b11110000, 0, // min_spatial_segmentation_idc: not known
		0b11111100, // parallelismType: not known
		0b11111100|byte(s.ChromaFormatIdc),
		0b11111000|byte(s.BitDepthLumaMinus8),
		0b11111000|byte(s.BitDepthChromaMinus8),
		0, 0, // avgFrameRate: not known
		(s.MaxSubLayersMinus1+1)<<3|nestingBit(&s)<<2|3,
		3)
	for _, set := range [...]struct {
		unit h265.NALUType
		data []byte
	}{{h265.NALUType_VPS_NUT, vps}, {h265.NALUType_SPS_NUT, sps}, {h265.NALUType_PPS_NUT, pps}} {
		b = append(b, 0b10000000|byte(set.unit), 0, 1)
		b = appendSet(b, set.data)
	}
	return b, nil
}

func nestingBit(s *h265.SPS) byte {
	if s.TemporalIDNestingFlag {
		return 1
	}
	return 0
}

func appendSet(b, set []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(set))), set...)
}
