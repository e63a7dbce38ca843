package rtsp

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/pion/rtp"

	"multi_process_server/pkg/media"
)

// errNoPicture is what becomes of an access unit that holds nothing to show.
var errNoPicture = errors.New("access unit without a picture")

// video cuts a stream's access units into RTP payloads. It belongs to one goroutine.
type video struct {
	codec  media.Codec
	sets   media.ParameterSets
	encode func(accessUnit [][]byte) ([]*rtp.Packet, error)
	nalus  [][]byte // scratch
}

// newVideo returns an error for a codec that RTP has no payload format for.
func newVideo(codec media.Codec) (*video, error) {
	v := &video{codec: codec}
	switch codec {
	case media.CodecH264:
		encoder := &rtph264.Encoder{PayloadType: payloadTypeVideo, PayloadMaxSize: maxPayload, PacketizationMode: 1}
		v.encode = encoder.Encode
		return v, encoder.Init()
	case media.CodecH265:
		encoder := &rtph265.Encoder{PayloadType: payloadTypeVideo, PayloadMaxSize: maxPayload}
		v.encode = encoder.Encode
		return v, encoder.Init()
	}
	return nil, fmt.Errorf("%s has no place in RTSP", codec)
}

// observe takes parameter sets that come alone.
func (v *video) observe(data []byte) (changed bool, err error) {
	v.nalus = media.AppendNALUs(v.nalus[:0], data)
	return v.sets.Observe(v.codec, v.nalus)
}

// unit makes the unit of an access unit. A key frame carries its parameter sets, so that a viewer can start with it
// and a change of resolution reaches those who already play; changed says that they are new. An error of
// media.ErrParameterSet comes with a unit, which goes by the last sets that were good.
func (v *video) unit(f *media.Frame) (u *unit, changed bool, err error) {
	v.nalus = media.AppendNALUs(v.nalus[:0], f.Data)
	u = &unit{track: trackVideo, marked: true, timestamp: videoClock.ticks(f.PTS)}
	if f.Type == media.FrameKey && media.ContainsKey(v.codec, v.nalus) {
		changed, err = v.sets.Observe(v.codec, v.nalus)
		u.key = v.sets.Complete(v.codec)
	}
	accessUnit := make([][]byte, 0, len(v.nalus)+3)
	if u.key {
		accessUnit = v.appendSets(accessUnit)
	}
	picture := false
	for _, nalu := range v.nalus {
		kind := kindOf(v.codec, nalu)
		switch {
		case kind == naluRefused:
			continue
		case kind == naluSet && u.key && (err != nil || v.holds(nalu)):
			continue // malformed, or there already
		case kind == naluPicture:
			picture = true
		}
		accessUnit = append(accessUnit, nalu)
	}
	if !picture {
		return nil, changed, errNoPicture
	}
	packets, encodeErr := v.encode(accessUnit)
	if encodeErr != nil {
		return nil, changed, encodeErr
	}
	u.payloads = make([][]byte, len(packets))
	for i, p := range packets {
		u.payloads[i] = p.Payload
		u.size += len(p.Payload)
	}
	return u, changed, err
}

func (v *video) appendSets(accessUnit [][]byte) [][]byte {
	if v.codec == media.CodecH265 {
		accessUnit = append(accessUnit, v.sets.VPS)
	}
	return append(accessUnit, v.sets.SPS, v.sets.PPS)
}

func (v *video) holds(nalu []byte) bool {
	return bytes.Equal(nalu, v.sets.SPS) || bytes.Equal(nalu, v.sets.PPS) || bytes.Equal(nalu, v.sets.VPS)
}

// format is the track's entry in the SDP.
func (v *video) format() format.Format {
	if v.codec == media.CodecH265 {
		return &format.H265{PayloadTyp: payloadTypeVideo, VPS: v.sets.VPS, SPS: v.sets.SPS, PPS: v.sets.PPS}
	}
	return &format.H264{PayloadTyp: payloadTypeVideo, PacketizationMode: 1, SPS: v.sets.SPS, PPS: v.sets.PPS}
}

// update writes the sets into an entry that format made.
func (v *video) update(f format.Format) {
	switch f := f.(type) {
	case *format.H264:
		f.SafeSetParams(v.sets.SPS, v.sets.PPS)
	case *format.H265:
		f.SafeSetParams(v.sets.VPS, v.sets.SPS, v.sets.PPS)
	}
}

type naluKind int

const (
	naluRefused naluKind = iota // types that RTP uses for itself or nobody uses, and padding
	naluOther
	naluSet
	naluPicture
)

// kindOf sorts a NAL unit by its type: ITU-T H.264 table 7-1 and RFC 6184 table 1; H.265 table 7-1 and RFC 7798.
func kindOf(codec media.Codec, nalu []byte) naluKind {
	if nalu[0]&0x80 != 0 {
		return naluRefused
	}
	if codec == media.CodecH265 {
		switch t := nalu[0] >> 1; {
		case len(nalu) < 3, t == 38, t >= 48:
			return naluRefused
		case t <= 31:
			return naluPicture
		case t <= 34:
			return naluSet
		}
		return naluOther
	}
	switch t := nalu[0] & 0x1f; {
	case t == 0, t == 12, t >= 24:
		return naluRefused
	case t <= 5:
		return naluPicture
	case t == 7, t == 8:
		return naluSet
	}
	return naluOther
}
