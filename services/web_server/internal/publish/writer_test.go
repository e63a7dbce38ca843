package publish

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/message"

	"multi_process_server/pkg/media"
	"multi_process_server/services/web_server/internal/pipeline"
)

// record lists messages in a few letters.
type record []string

func (r *record) Write(m message.Message) error {
	text := "?"
	switch m := m.(type) {
	case *message.DataAMF0:
		text = "metadata"
	case *message.Video:
		text = fmt.Sprintf("video %d at %v", m.Type, m.DTS)
	case *message.Audio:
		text = fmt.Sprintf("audio %d at %v", m.AACType, m.DTS)
	}
	*r = append(*r, text)
	return nil
}

// SRS judges by the first messages whether a stream has sound.
func TestSoundStandsBeforeTheFirstPicture(t *testing.T) {
	sps := []byte{0x67, 0x4d, 0x40, 0x1e, 0xed, 0x02, 0xc0, 0x49, 0x10}
	avcC := append([]byte{1, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0, byte(len(sps))}, sps...)
	avcC = append(avcC, 1, 0, 4, 0x68, 0xee, 0x3c, 0x80)
	video := &pipeline.Format{Codec: media.CodecH264, Record: avcC, Width: 704, Height: 576}
	sound := &pipeline.Format{Codec: media.CodecAAC, Record: []byte{0x15, 0x88}, SampleRate: 8000, Lead: []byte{1}}
	picture := func(format *pipeline.Format, dts time.Duration) *pipeline.Unit {
		return &pipeline.Unit{Format: format, Key: true, DTS: dts, PTS: dts, Payload: []byte{0, 0, 0, 1, 0x65}}
	}
	var got record
	w := writer{client: &got, audio: sound}
	another := *video
	for _, u := range []*pipeline.Unit{
		{Format: sound, DTS: 980 * time.Millisecond, Payload: []byte{2}}, // of before the first picture
		picture(video, time.Second),
		{Format: sound, DTS: time.Second, Payload: []byte{2}}, // where the silence stands
		{Format: sound, DTS: 1020 * time.Millisecond, Payload: []byte{2}},
		picture(&another, 2*time.Second), // other parameter sets
	} {
		if err := w.write(u); err != nil {
			t.Fatal(err)
		}
	}
	want := record{
		"metadata", "video 0 at 0s", "audio 0 at 0s", "audio 1 at 0s", "video 1 at 0s", "audio 1 at 20ms",
		"video 0 at 1s", "video 1 at 1s",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
