package media

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// maxParameterSetSize is far above any real set; containers write its length in 16 bits.
const maxParameterSetSize = 4096

// ErrParameterSet is what every error of ParameterSets.Observe is: a set that no muxer or decoder should meet.
var ErrParameterSet = errors.New("malformed parameter set")

// ParameterSets are what a decoder needs before the first picture: SPS and PPS, for H.265 also VPS, without start
// codes. Sets that came by Observe have been validated and are its own copies; the zero value holds none.
type ParameterSets struct {
	VPS, SPS, PPS []byte

	codec Codec
}

// Observe takes the sets among the NAL units of one access unit; nalus are not kept. It reports whether any differs
// from the one it had. Of several sets of one type in an access unit the first is the stream's. A malformed set is kept
// out, an error that is ErrParameterSet tells so, and the other sets are taken all the same.
func (p *ParameterSets) Observe(codec Codec, nalus [][]byte) (changed bool, err error) {
	var seen [3]bool
	for _, nalu := range nalus {
		kind := kindOfSet(codec, nalu[0])
		if kind == notASet || seen[kind] {
			continue
		}
		seen[kind] = true
		if codec != p.codec {
			*p = ParameterSets{codec: codec}
		}
		set := [...]*[]byte{kindVPS: &p.VPS, kindSPS: &p.SPS, kindPPS: &p.PPS}[kind]
		if bytes.Equal(*set, nalu) {
			continue
		}
		if e := validate(codec, kind, nalu); e != nil {
			err = errors.Join(err, fmt.Errorf("%w: %s: %w", ErrParameterSet, codec, e))
			continue
		}
		*set = bytes.Clone(nalu)
		changed = true
	}
	return changed, err
}

// Complete reports whether a decoder of this codec can start with them.
func (p *ParameterSets) Complete(codec Codec) bool {
	return len(p.SPS) > 0 && len(p.PPS) > 0 && (codec != CodecH265 || len(p.VPS) > 0)
}

// Size is the picture's width and height in pixels, 0, 0 when there is no valid SPS.
func (p *ParameterSets) Size(codec Codec) (width, height int) {
	switch codec {
	case CodecH264:
		if sps, err := parseH264SPS(p.SPS); err == nil {
			return sps.Width(), sps.Height()
		}
	case CodecH265:
		if sps, err := parseH265SPS(p.SPS); err == nil {
			return sps.Width(), sps.Height()
		}
	}
	return 0, 0
}

// AppendAnnexB appends the sets that are there, each with a start code, in the order that a decoder wants.
func (p *ParameterSets) AppendAnnexB(dst []byte) []byte {
	for _, set := range [...][]byte{p.VPS, p.SPS, p.PPS} {
		if len(set) > 0 {
			dst = append(append(dst, 0, 0, 0, 1), set...)
		}
	}
	return dst
}

type setKind int

const (
	notASet setKind = iota - 1
	kindVPS
	kindSPS
	kindPPS
)

func kindOfSet(codec Codec, header byte) setKind {
	switch codec {
	case CodecH264:
		switch h264Type(header) {
		case h264SPS:
			return kindSPS
		case h264PPS:
			return kindPPS
		}
	case CodecH265:
		switch h265Type(header) {
		case h265VPS:
			return kindVPS
		case h265SPS:
			return kindSPS
		case h265PPS:
			return kindPPS
		}
	}
	return notASet
}

func validate(codec Codec, kind setKind, nalu []byte) error {
	var err error
	switch {
	case kind == kindSPS && codec == CodecH264:
		_, err = parseH264SPS(nalu)
	case kind == kindSPS:
		_, err = parseH265SPS(nalu)
	case kind == kindPPS && codec == CodecH265:
		if err = validateSize(nalu); err == nil {
			err = new(h265.PPS).Unmarshal(nalu)
		}
	default: // nobody reads these before the decoder does
		err = validateSize(nalu)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", [...]string{"VPS", "SPS", "PPS"}[kind], err)
	}
	return nil
}

func validateSize(nalu []byte) error {
	if len(nalu) < 3 || len(nalu) > maxParameterSetSize {
		return fmt.Errorf("%d bytes, want 3 to %d", len(nalu), maxParameterSetSize)
	}
	return nil
}

// parseH264SPS goes beyond what Unmarshal checks: what it lets pass makes nonsense of the picture's size or of the
// slice headers that are read by it (ITU-T H.264, 7.4.2.1.1 and A.3).
func parseH264SPS(nalu []byte) (*h264.SPS, error) {
	if err := validateSize(nalu); err != nil {
		return nil, err
	}
	sps := new(h264.SPS)
	if err := sps.Unmarshal(nalu); err != nil {
		return nil, err
	}
	switch {
	case sps.ID > 31, sps.ChromaFormatIdc > 3, sps.BitDepthLumaMinus8 > 6, sps.BitDepthChromaMinus8 > 6,
		sps.Log2MaxFrameNumMinus4 > 12, sps.Log2MaxPicOrderCntLsbMinus4 > 12, sps.MaxNumRefFrames > 16,
		sps.PicWidthInMbsMinus1 >= maxPictureSide/16, sps.PicHeightInMapUnitsMinus1 >= maxPictureSide/16:
		return nil, errors.New("a value is outside the standard's range")
	case sps.FrameCropping != nil && !plausibleCrop(sps.FrameCropping.LeftOffset, sps.FrameCropping.RightOffset,
		sps.FrameCropping.TopOffset, sps.FrameCropping.BottomOffset):
		return nil, errors.New("the cropping leaves no picture")
	}
	return sps, validatePicture(sps.Width(), sps.Height())
}

// parseH265SPS does the same for ITU-T H.265, 7.4.3.2.1.
func parseH265SPS(nalu []byte) (*h265.SPS, error) {
	if err := validateSize(nalu); err != nil {
		return nil, err
	}
	sps := new(h265.SPS)
	if err := sps.Unmarshal(nalu); err != nil {
		return nil, err
	}
	switch {
	case sps.MaxSubLayersMinus1 > 6, sps.ID > 15, sps.BitDepthLumaMinus8 > 8, sps.BitDepthChromaMinus8 > 8,
		sps.Log2MaxPicOrderCntLsbMinus4 > 12,
		sps.PicWidthInLumaSamples > maxPictureSide, sps.PicHeightInLumaSamples > maxPictureSide:
		return nil, errors.New("a value is outside the standard's range")
	case sps.ConformanceWindow != nil && !plausibleCrop(sps.ConformanceWindow.LeftOffset, sps.ConformanceWindow.RightOffset,
		sps.ConformanceWindow.TopOffset, sps.ConformanceWindow.BottomOffset):
		return nil, errors.New("the conformance window leaves no picture")
	}
	return sps, validatePicture(sps.Width(), sps.Height())
}

// maxPictureSide is twice 8K: far above any vehicle's camera, far below what overflows a muxer.
const maxPictureSide = 16384

func plausibleCrop(offsets ...uint32) bool {
	for _, o := range offsets {
		if o > maxPictureSide {
			return false
		}
	}
	return true
}

func validatePicture(width, height int) error {
	if width < 1 || width > maxPictureSide || height < 1 || height > maxPictureSide {
		return fmt.Errorf("a picture of %d × %d pixels, want 1 to %d", width, height, maxPictureSide)
	}
	return nil
}
