// Package flv writes the FLV file format: the header, tags, codec configurations and metadata, as Adobe's "Video File
// Format Specification, version 10.1", annex E, has them, with the FourCC video of Enhanced RTMP v1 for H.265.
//
// The body of a tag is also the payload of an RTMP message. The package is pure: bytes in, bytes out.
package flv

import (
	"encoding/binary"
	"time"

	"multi_process_server/pkg/media"
)

// Tag types (E.4.1).
const (
	typeAudio  = 8
	typeVideo  = 9
	typeScript = 18
)

// AudioPrefix is how many bytes of an audio tag precede the access unit.
const AudioPrefix = tagHeaderSize + audioHeader

// Sizes around a tag's payload.
const (
	tagHeaderSize  = 11 // type, size, timestamp, stream id (E.4.1)
	trailerSize    = 4  // PreviousTagSize (E.3)
	audioHeader    = 2  // AudioTagHeader with AACPacketType (E.4.2.1)
	avcHeader      = 5  // VideoTagHeader with AVCPacketType and CompositionTime (E.4.3.1)
	hevcHeader     = 8  // packet type, FourCC, CompositionTime (Enhanced RTMP, "CodedFrames")
	hevcConfHeader = 5  // packet type, FourCC (Enhanced RTMP, "SequenceStart")
)

const (
	frameKey   = 1 << 4
	frameInter = 2 << 4
	codecAVC   = 7
	// soundAAC is format AAC, 44 kHz, 16 bit, stereo: for AAC the last three are fixed and a decoder ignores them.
	soundAAC = 0xAF

	packetConfig = 0
	packetCoded  = 1

	extended  = 1 << 7
	fourCCHEV = "hvc1"
)

// Header is what a file starts with: signature, version 1, audio and video present, and the first PreviousTagSize.
var Header = []byte{'F', 'L', 'V', 1, 1<<2 | 1<<0, 0, 0, 0, 9, 0, 0, 0, 0}

// VideoPrefix is how many bytes of a video tag precede the access unit.
func VideoPrefix(codec media.Codec) int {
	if codec == media.CodecH265 {
		return tagHeaderSize + hevcHeader
	}
	return tagHeaderSize + avcHeader
}

// Overhead is how many bytes a video tag has beside the access unit.
func Overhead(codec media.Codec) int { return VideoPrefix(codec) + trailerSize }

// AppendVideoPrefix writes a video tag up to the access unit of size bytes, which is NAL units with four-byte lengths.
// AppendTrailer closes the tag.
func AppendVideoPrefix(dst []byte, codec media.Codec, key bool, dts, pts time.Duration, size int) []byte {
	frame := byte(frameInter)
	if key {
		frame = frameKey
	}
	offset := max(0, milliseconds(pts)-milliseconds(dts))
	if codec == media.CodecH265 {
		dst = appendTagHeader(dst, typeVideo, hevcHeader+size, dts)
		dst = append(dst, extended|frame|packetCoded)
		dst = append(dst, fourCCHEV...)
	} else {
		dst = appendTagHeader(dst, typeVideo, avcHeader+size, dts)
		dst = append(dst, frame|codecAVC, packetCoded)
	}
	return appendUint24(dst, uint32(offset))
}

// AppendTrailer writes the PreviousTagSize of the tag that began at start in dst.
func AppendTrailer(dst []byte, start int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(len(dst)-start))
}

// AppendVideoConfig writes the tag with the decoder's configuration: an avcC or hvcC record (ISO/IEC 14496-15).
func AppendVideoConfig(dst []byte, codec media.Codec, dts time.Duration, record []byte) []byte {
	start := len(dst)
	if codec == media.CodecH265 {
		dst = appendTagHeader(dst, typeVideo, hevcConfHeader+len(record), dts)
		dst = append(dst, extended|frameKey|packetConfig)
		dst = append(dst, fourCCHEV...)
	} else {
		dst = appendTagHeader(dst, typeVideo, avcHeader+len(record), dts)
		dst = append(dst, frameKey|codecAVC, packetConfig, 0, 0, 0)
	}
	return AppendTrailer(append(dst, record...), start)
}

// AppendAudio writes a tag with one raw AAC access unit.
func AppendAudio(dst []byte, pts time.Duration, unit []byte) []byte {
	return appendAAC(dst, packetCoded, pts, unit)
}

// AppendAudioConfig writes the tag with the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
func AppendAudioConfig(dst []byte, pts time.Duration, config []byte) []byte {
	return appendAAC(dst, packetConfig, pts, config)
}

func appendAAC(dst []byte, packetType byte, pts time.Duration, data []byte) []byte {
	start := len(dst)
	dst = appendTagHeader(dst, typeAudio, audioHeader+len(data), pts)
	dst = append(dst, soundAAC, packetType)
	return AppendTrailer(append(dst, data...), start)
}

// appendTagHeader: timestamps are 32 bits of milliseconds and wrap after 49 days; the upper 8 bits stand last (E.4.1).
func appendTagHeader(dst []byte, tagType byte, size int, at time.Duration) []byte {
	ms := uint32(milliseconds(at))
	dst = append(dst, tagType)
	dst = appendUint24(dst, uint32(size))
	dst = appendUint24(dst, ms)
	return append(dst, byte(ms>>24), 0, 0, 0)
}

func appendUint24(dst []byte, v uint32) []byte {
	return append(dst, byte(v>>16), byte(v>>8), byte(v))
}

func milliseconds(d time.Duration) int64 { return d.Milliseconds() }
