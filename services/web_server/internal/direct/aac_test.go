package direct

import (
	"io"
	"strconv"
	"testing"

	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/webtest"
)

// What the vehicle sends as AAC goes on as it is; where it sends none, silence of the same kind does.
func TestPlayVehiclesAAC(t *testing.T) {
	clip := webtest.NewClip(t, "320x240")
	for _, c := range []struct{ rate, channels int }{{8000, 1}, {44100, 2}} {
		t.Run(strconv.Itoa(c.rate), func(t *testing.T) {
			source := webtest.NewRelay(t, webtest.Content{Clip: clip, AAC: webtest.NewAAC(t, c.rate, c.channels)})
			_, server := serve(t, source, DefaultConfig(), pipeline.DefaultConfig())
			if volume := webtest.Decode(t, server.URL+testURL, 2); volume < -25 {
				t.Errorf("the tone is at %v dB", volume)
			}
			first := get(t, server.URL+testURL) // keeps the stream
			if _, err := io.CopyN(io.Discard, first.Body, 100_000); err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, first.Body) //nolint:errcheck // until the test ends
			check := func() {
				t.Helper()
				probe := webtest.Run(t, server.URL+testURL, 2)
				probe.CheckPlayable(t)
				if a := probe.Stream(t, "audio"); a.SampleRate != strconv.Itoa(c.rate) || a.Channels != c.channels {
					t.Errorf("sound of %s Hz, %d channels", a.SampleRate, a.Channels)
				}
				var begins, ends float64
				units := 0
				for _, p := range probe.Packets {
					if p.CodecType == "audio" {
						if units++; units == 1 {
							begins = p.Seconds()
						}
						ends = p.Seconds()
					}
				}
				if spans := float64(units-1) * 1024 / float64(c.rate); spans-(ends-begins) > 0.07 || (ends-begins)-spans > 0.07 {
					t.Errorf("%d units, %.3f s, in %.3f s", units, spans, ends-begins)
				}
			}
			check()
			source.Set(func(content *webtest.Content) { content.Silent = true })
			check()
			if volume := webtest.Decode(t, server.URL+testURL, 2); volume > -80 {
				t.Errorf("silence is at %v dB", volume)
			}
		})
	}
}
