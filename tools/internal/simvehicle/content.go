package simvehicle

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/tools/vehicle/clip"
)

// ContentOptions say what a Content is made of. Only Video is required.
type ContentOptions struct {
	Video     []byte             // Annex B, starting with a key frame and its parameter sets
	VideoType jt1078.PayloadType // PayloadH264 or PayloadH265; 0 means PayloadH264
	FPS       int                // 0 means 25

	Sound         []byte             // raw samples
	SoundType     jt1078.PayloadType // 0 means PayloadG711A
	SoundBytes    int                // in a packet; 0 means 320
	SoundInterval time.Duration      // from packet to packet; 0 means 40 ms
	// HiSilicon puts the four bytes before each packet's samples that HiSilicon's encoders put there.
	HiSilicon bool
}

// Content is a clip cut into frames. It is not changed once made, and is shared.
type Content struct {
	videoType, soundType         jt1078.PayloadType
	frameInterval, soundInterval time.Duration
	units                        []unit
	sounds                       [][]byte
}

// unit is an access unit.
type unit struct {
	data []byte
	key  bool
}

// NewContent cuts a clip. It keeps o.Video.
func NewContent(o ContentOptions) (*Content, error) {
	c := &Content{
		videoType:     o.VideoType,
		soundType:     o.SoundType,
		soundInterval: o.SoundInterval,
	}
	if c.videoType == 0 {
		c.videoType = jt1078.PayloadH264
	}
	if c.soundType == 0 {
		c.soundType = jt1078.PayloadG711A
	}
	if c.soundInterval <= 0 {
		c.soundInterval = 40 * time.Millisecond
	}
	if o.FPS <= 0 {
		o.FPS = clip.FPS
	}
	c.frameInterval = time.Second / time.Duration(o.FPS)
	if o.SoundBytes <= 0 {
		o.SoundBytes = 320
	}

	var err error
	if c.units, err = cut(o.Video, c.videoType); err != nil {
		return nil, err
	}
	for rest := o.Sound; len(rest) >= o.SoundBytes; rest = rest[o.SoundBytes:] {
		packet := make([]byte, 0, 4+o.SoundBytes)
		if o.HiSilicon {
			packet = append(packet, 0, 1, byte(o.SoundBytes/2), 0)
		}
		c.sounds = append(c.sounds, append(packet, rest[:o.SoundBytes]...))
	}
	return c, nil
}

// Default is the clip that the package brings for a channel.
func Default(channel uint8) *Content { return defaults[(channel+clip.Cameras-1)%clip.Cameras]() }

// Small is Default's first picture as a sub stream: 352x288.
func Small() *Content { return small() }

var (
	defaults [clip.Cameras]func() *Content
	small    = sync.OnceValue(func() *Content { return builtIn(clip.Small()) })
)

func init() {
	for i := range defaults {
		defaults[i] = sync.OnceValue(func() *Content { return builtIn(clip.Camera(uint8(i + 1))) })
	}
}

func builtIn(video []byte) *Content {
	c, err := NewContent(ContentOptions{Video: video, Sound: clip.Sound()})
	if err != nil {
		panic("simvehicle: the built-in clip is broken, run tools/vehicle/clip/make.sh: " + err.Error())
	}
	return c
}

// cut splits Annex B into access units, which alias it.
func cut(video []byte, payload jt1078.PayloadType) ([]unit, error) {
	codec, kindOf := media.CodecH264, h264Kind
	if payload == jt1078.PayloadH265 {
		codec, kindOf = media.CodecH265, h265Kind
	}
	var (
		units []unit
		data  []byte   // of the unit that is being collected
		nalus [][]byte // in it
		slice bool     // it has a slice already
	)
	finish := func() {
		if slice {
			units = append(units, unit{data: data, key: media.ContainsKey(codec, nalus)})
			data, nalus, slice = nil, nil, false
		}
	}
	for nalu := range bytes.SplitSeq(video, []byte{0, 0, 1}) {
		if nalu = bytes.TrimRight(nalu, "\x00"); len(nalu) == 0 {
			continue
		}
		kind := kindOf(nalu)
		if slice && kind != naluMore {
			finish()
		}
		slice = slice || kind != naluBefore
		data = append(append(data, 0, 0, 0, 1), nalu...)
		nalus = append(nalus, nalu)
	}
	finish()
	if len(units) == 0 {
		return nil, fmt.Errorf("no %s picture in %d bytes: want Annex B (ffmpeg -f h264 or -f hevc)", payload, len(video))
	}
	if !units[0].key {
		return nil, errors.New("the video does not start with a key frame")
	}
	return units, nil
}

// naluKind is a NAL unit's place in its access unit.
type naluKind int

const (
	naluBefore naluKind = iota // stands before the slices: parameter sets, SEI, delimiter
	naluFirst                  // the first slice of a picture
	naluMore                   // a further slice, or what stands behind the slices
)

// h264Kind: ITU-T H.264, 7.4.1.2.3.
func h264Kind(nalu []byte) naluKind {
	switch t := nalu[0] & 0x1f; {
	case t >= 6 && t <= 9 || t >= 14 && t <= 18:
		return naluBefore
	case t >= 1 && t <= 5 && len(nalu) > 1 && nalu[1]&0x80 != 0: // first_mb_in_slice is 0
		return naluFirst
	}
	return naluMore
}

// h265Kind: ITU-T H.265, 7.4.2.4.4.
func h265Kind(nalu []byte) naluKind {
	switch t := nalu[0] >> 1 & 0x3f; {
	case t >= 32 && t <= 35 || t == 39 || t >= 41 && t <= 44 || t >= 48 && t <= 55:
		return naluBefore
	case t < 32 && len(nalu) > 2 && nalu[2]&0x80 != 0: // first_slice_segment_in_pic_flag
		return naluFirst
	}
	return naluMore
}

// withBadSPS is the same clip with sequence parameter sets that end in the middle.
func (c *Content) withBadSPS() *Content {
	bad := *c
	bad.units = make([]unit, len(c.units))
	for i, u := range c.units {
		bad.units[i] = u
		if !u.key {
			continue
		}
		bad.units[i].data = nil
		for _, nalu := range media.AppendNALUs(nil, u.data) {
			if t := nalu[0]; c.videoType == jt1078.PayloadH264 && t&0x1f == 7 || c.videoType == jt1078.PayloadH265 && t>>1&0x3f == 33 {
				nalu = nalu[:min(4, len(nalu))]
			}
			bad.units[i].data = append(append(bad.units[i].data, 0, 0, 0, 1), nalu...)
		}
	}
	return &bad
}
