package pipeline

import (
	"errors"
	"fmt"
	"time"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/media"
)

// aacFrame is how many samples an AAC-LC unit covers.
const aacFrame = 1024

// vehicleAAC is sound that arrives as AAC. It goes on as it is: encoding it again would cost time and quality.
type vehicleAAC struct {
	parser audio.AACParser
	config []byte   // that format was made of
	format *Format  // nil: not known yet, or not one that is passed on
	units  [][]byte // scratch
}

// silentAAC are raw_data_blocks without any spectrum, by the number of channels. By ISO/IEC 14496-3 tables 4.3 to 4.50,
// bits in brackets:
//
//	one channel:  ID_SCE [000], element_instance_tag [0000], global_gain [8 × 0], ics_info, pulse_data_present [0],
//	              tns_data_present [0], gain_control_data_present [0], ID_END [111];
//	two channels: ID_CPE [001], element_instance_tag [0000], common_window [1], ics_info, ms_mask_present [00], twice
//	              what one channel has from its global_gain on, but for ics_info, ID_END [111], byte_alignment [00];
//	ics_info:     reserved [0], window_sequence ONLY_LONG [00], window_shape [0], max_sfb [000000],
//	              predictor_data_present [0].
//
// As max_sfb is 0 there are no sections, scale factors or spectral data, and the units fit any rate.
var silentAAC = map[int][]byte{
	1: {0x00, 0x00, 0x00, 0x07},
	2: {0x21, 0x00, 0x00, 0x00, 0x00, 0x1c},
}

// newAACFormat reads an AudioSpecificConfig (ISO/IEC 14496-3 clause 1.6.2.1) of two bytes, as AACParser has it: five bits
// of object type, four of frequency index, four of channel configuration.
func newAACFormat(config []byte) (*Format, error) {
	const lc = 2
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	bits := int(config[0])<<8 | int(config[1])
	object, rate, channels := bits>>11, bits>>7&15, bits>>3&15
	silence := silentAAC[channels]
	if object != lc || rate >= len(rates) || silence == nil {
		return nil, fmt.Errorf("silence instead of sound: AAC of object type %d, frequency index %d, %d channels; players have AAC-LC of 1 or 2", object, rate, channels)
	}
	return &Format{Codec: media.CodecAAC, Record: config, SampleRate: rates[rate], Lead: silence}, nil
}

// pass takes a packet of AAC that begins at pts.
func (a *audioTrack) pass(f *media.Frame, pts time.Duration) error {
	v := &a.vehicle
	if f.Codec != a.codec || f.PayloadType != a.payloadType {
		a.codec, a.payloadType, a.known, a.decoder = f.Codec, f.PayloadType, false, nil
		a.vehicle = vehicleAAC{units: v.units}
	}
	var parseErr error
	if v.units, parseErr = v.parser.Parse(v.units[:0], f.Data, f.VehicleTimestamp); parseErr != nil {
		a.metrics.audioErrors.Inc() // what stands before the damage is good
	}
	if config := v.parser.Config(); string(config) != string(v.config) {
		var err error
		v.config = config
		if v.format, err = newAACFormat(config); err != nil {
			a.metrics.unsupported.WithLabelValues(f.Codec.String()).Inc()
			return err
		}
	}
	if v.format == nil || len(v.units) == 0 {
		return unsupportedOnly(parseErr)
	}
	if a.format != v.format {
		a.passOn(a.from)
	}
	if err := a.align(int64(len(v.units))*aacFrame, pts); err != nil {
		return err
	}
	for _, unit := range v.units {
		if a.cut >= aacFrame/2 { // units are cut whole, to the nearest
			a.cut = max(0, a.cut-aacFrame)
			continue
		}
		a.emit(unit)
	}
	if a.cut < aacFrame/2 {
		a.cut = 0
	}
	return nil
}

// unsupportedOnly is for the log: a damaged packet is counted and not worth a line.
func unsupportedOnly(err error) error {
	if !errors.Is(err, audio.ErrUnsupported) {
		return nil
	}
	return fmt.Errorf("silence instead of sound: %w", err)
}

// passOn makes the track one of the vehicle's own AAC.
func (a *audioTrack) passOn(at time.Duration) {
	a.release()
	a.format, a.rate = a.vehicle.format, a.vehicle.format.SampleRate
	a.fed, a.ranIn, a.made = 0, 0, 0
	a.begin(at)
}

// emit appends a unit that is not the encoder's to a.units.
func (a *audioTrack) emit(unit []byte) {
	pts := a.end()
	a.fed += aacFrame
	a.append(pts, unit)
}
