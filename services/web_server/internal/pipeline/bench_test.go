package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/webtest"
)

// BenchmarkPicture is one picture through the pipeline to its outputs' queues; silence beside it is encoded as AAC.
func BenchmarkPicture(b *testing.B) {
	clip := webtest.NewClip(b, "704x576", "-b:v", "1M")
	for _, outputs := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("outputs=%d", outputs), func(b *testing.B) {
			p := &pipeline.Pipeline{
				Config: pipeline.DefaultConfig(), Log: zerolog.Nop(), Metrics: pipeline.NewMetrics(prometheus.NewRegistry()),
				Subscribe: func(jt1078.Key, relay.Handler) interface{ Close() } { return nothing{} },
			}
			p.Initialize()
			defer p.Close()
			attached := make([]*pipeline.Output, outputs)
			for i := range attached {
				attached[i] = p.Attach("flv")
			}
			size := 0
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				picture := clip.Pictures[n%len(clip.Pictures)]
				kind := media.FrameDelta
				if picture.Key {
					kind = media.FrameKey
				}
				p.OnFrame(&media.Frame{Type: kind, Codec: clip.Codec, PTS: time.Duration(n) * webtest.FrameTime, Data: picture.Data})
				size += len(picture.Data)
				n++
				if n%25 == 0 {
					for _, o := range attached {
						if _, err := o.Take(); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.SetBytes(int64(size / n))
		})
	}
}
