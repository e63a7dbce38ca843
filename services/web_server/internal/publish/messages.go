package publish

import (
	"bytes"
	"fmt"
	"time"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"multi_process_server/pkg/media"
	"multi_process_server/services/web_server/internal/flv"
	"multi_process_server/services/web_server/internal/pipeline"
)

const (
	// messageStream is the id that servers give to the first stream of a connection, 1, in little endian as RTMP
	// has it here alone (Adobe RTMP 1.0, 5.3.1.2.1).
	messageStream = 0x1000000
	// dataChunkStream shares the sound's, as it is usual.
	dataChunkStream = message.AudioChunkStreamID
)

// metadata tells the server what is about to come.
func metadata(video, audio *pipeline.Format) message.Message {
	m := flv.Metadata{Video: video.Codec, Width: video.Width, Height: video.Height}
	if audio != nil {
		m.SampleRate = audio.SampleRate
	}
	return &message.DataAMF0{
		ChunkStreamID: dataChunkStream, MessageStreamID: messageStream,
		Payload: []any{"@setDataFrame", "onMetaData", m.AMF0()},
	}
}

// sequenceHeader carries the decoder's configuration.
func sequenceHeader(f *pipeline.Format, at time.Duration) (message.Message, error) {
	switch f.Codec {
	case media.CodecAAC:
		config := &mpeg4audio.AudioSpecificConfig{}
		if err := config.Unmarshal(f.Record); err != nil {
			return nil, fmt.Errorf("AudioSpecificConfig: %w", err)
		}
		m := aac(message.AudioAACTypeConfig, at)
		m.AACConfig = config
		return m, nil
	case media.CodecH265:
		config := &mp4.HvcC{}
		if _, err := mp4.Unmarshal(bytes.NewReader(f.Record), uint64(len(f.Record)), config, mp4.Context{}); err != nil {
			return nil, fmt.Errorf("hvcC: %w", err)
		}
		m := picture(message.CodecH265, true, message.VideoTypeConfig, at)
		m.HEVCConfig = config
		return m, nil
	}
	config := &mp4.AVCDecoderConfiguration{}
	config.SetType(mp4.BoxTypeAvcC())
	if _, err := mp4.Unmarshal(bytes.NewReader(f.Record), uint64(len(f.Record)), config, mp4.Context{}); err != nil {
		return nil, fmt.Errorf("avcC: %w", err)
	}
	m := picture(message.CodecH264, true, message.VideoTypeConfig, at)
	m.AVCConfig = config
	return m, nil
}

// accessUnit carries a unit, its decoding time counted from base.
func accessUnit(u *pipeline.Unit, base time.Duration) message.Message {
	dts := u.DTS - base
	if !u.Video() {
		m := aac(message.AudioAACTypeAU, dts)
		m.AU = u.Payload
		return m
	}
	codec := uint8(message.CodecH264)
	if u.Format.Codec == media.CodecH265 {
		codec = message.CodecH265
	}
	m := picture(codec, u.Key, message.VideoTypeAU, dts)
	m.PTSDelta, m.AU = u.PTS-u.DTS, u.Payload
	return m
}

// picture: H.265 goes by the codec number that SRS has known longest, as gortmplib's extended messages do not say
// which pictures are key frames, and SRS wants to know.
func picture(codec uint8, key bool, packetType message.VideoType, at time.Duration) *message.Video {
	return &message.Video{
		ChunkStreamID: message.VideoChunkStreamID, MessageStreamID: messageStream, DTS: at,
		Codec: codec, IsKeyFrame: key, Type: packetType,
	}
}

// aac: rate, depth and channels are fixed for AAC and looked up in its configuration (FLV 10.1, E.4.2.1).
func aac(packetType message.AudioAACType, at time.Duration) *message.Audio {
	return &message.Audio{
		ChunkStreamID: message.AudioChunkStreamID, MessageStreamID: messageStream, DTS: at,
		Codec: message.CodecMPEG4Audio, Rate: message.AudioRate44100, Depth: message.AudioDepth16, IsStereo: true,
		AACType: packetType,
	}
}
