package pipeline_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
	"multi_process_server/services/web_server/internal/pipeline"
)

// Whatever a vehicle sends, nothing panics and the outputs' times grow.
func FuzzFrames(f *testing.F) {
	sps := []byte{0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	pps := []byte{0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80}
	key := append(append(append([]byte{}, sps...), pps...), 0, 0, 0, 1, 0x65, 0x88, 0x84)
	f.Add(key, []byte{0, 0, 1, 0x41, 0x9a, 0x24}, uint8(media.CodecH264), uint16(40))
	f.Add(key, []byte{1, 2, 3}, uint8(media.CodecG711A), uint16(40))
	f.Add([]byte{0, 0, 1, 0x40, 1, 0, 0, 1, 0x42, 1, 0, 0, 1, 0x44, 1, 0, 0, 1, 0x26, 1, 0xaf}, []byte{0, 0, 1, 2, 1, 0xd0}, uint8(media.CodecH265), uint16(0))
	metrics := pipeline.NewMetrics(prometheus.NewRegistry())
	f.Fuzz(func(t *testing.T, first, second []byte, codec uint8, step uint16) {
		p := &pipeline.Pipeline{
			Config: pipeline.DefaultConfig(), Log: zerolog.Nop(), Metrics: metrics,
			Subscribe: func(jt1078.Key, relay.Handler) interface{ Close() } { return nothing{} },
		}
		p.Initialize()
		defer p.Close()
		o := p.Attach("flv")
		at := time.Duration(0)
		for n, data := range [][]byte{first, second, first, second} {
			c := media.Codec(codec)
			kind := media.FrameKey
			switch {
			case c >= media.CodecG711A && n%2 == 1:
				kind = media.FrameAudio
			case c >= media.CodecG711A:
				c = media.CodecH264
			case n%2 == 1:
				kind = media.FrameDelta
			}
			p.OnFrame(&media.Frame{Type: kind, Codec: c, PTS: at, Data: data})
			at += time.Duration(step) * time.Millisecond
		}
		video, sound := take(t, o)
		for _, u := range append(video, sound...) {
			u.Tag()
		}
	})
}
