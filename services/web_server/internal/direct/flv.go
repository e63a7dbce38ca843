package direct

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"multi_process_server/services/web_server/internal/flv"
	"multi_process_server/services/web_server/internal/pipeline"
)

// play writes FLV until the viewer leaves, stalls or the stream is closed. Live units are written as the tags that
// all viewers share; only the beginning is made for this one.
func (h *Handler) play(c *gin.Context, p *pipeline.Pipeline, output *pipeline.Output, units []*pipeline.Unit) error {
	header := c.Writer.Header()
	header.Set("Content-Type", "video/x-flv")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx in front of us shall not hold pictures back
	// No chunks: each would cost a header and a write of its own. The connection ends with the stream.
	header.Set("Transfer-Encoding", "identity")
	c.Status(http.StatusOK)

	v := viewer{audio: p.AudioFormat(), buffer: append([]byte(nil), flv.Header...)}
	control := http.NewResponseController(c.Writer)
	// The listener's limit for reading a request would end the watch for the viewer's leaving, and with it the request.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	for {
		if err := control.SetWriteDeadline(time.Now().Add(h.Config.WriteTimeout)); err != nil {
			return err
		}
		if _, err := c.Writer.Write(v.join(units)); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return err
		}
		var err error
		if units, err = output.Next(c.Request.Context(), units); err != nil {
			return err
		}
	}
}

// viewer is what one player has been told.
type viewer struct {
	video, audio *pipeline.Format
	sentAudio    *pipeline.Format
	buffer       []byte // what goes out next
}

// maxKept bounds the buffer that is kept between two writes.
const maxKept = 64 << 10

// join makes one write of the units: usually it is a single one, whose tag is written as it is. The result is valid
// until the next call.
func (v *viewer) join(units []*pipeline.Unit) []byte {
	if len(units) == 1 && v.told(units[0]) {
		return units[0].Tag()
	}
	for _, u := range units {
		v.tell(u)
		v.buffer = append(v.buffer, u.Tag()...)
	}
	joined := v.buffer
	v.buffer = joined[:0]
	if cap(joined) > maxKept {
		v.buffer = nil
	}
	return joined
}

func (v *viewer) told(u *pipeline.Unit) bool {
	return len(v.buffer) == 0 && (u.Format == v.video || u.Format == v.sentAudio)
}

// tell appends the decoder's configuration where the unit needs another than the last: for the first picture the
// sound's as well, as players look for all tracks at the beginning.
func (v *viewer) tell(u *pipeline.Unit) {
	switch {
	case u.Video() && u.Format != v.video:
		v.video = u.Format
		m := flv.Metadata{Video: u.Format.Codec, Width: u.Format.Width, Height: u.Format.Height}
		if v.audio != nil {
			m.SampleRate = v.audio.SampleRate
		}
		v.buffer = flv.AppendMetadata(v.buffer, m)
		v.buffer = flv.AppendVideoConfig(v.buffer, u.Format.Codec, u.DTS, u.Format.Record)
		if v.audio != nil && v.audio != v.sentAudio {
			v.tellAudio(v.audio, u)
		}
	case !u.Video() && u.Format != v.sentAudio:
		v.tellAudio(u.Format, u)
	}
}

func (v *viewer) tellAudio(f *pipeline.Format, u *pipeline.Unit) {
	v.audio, v.sentAudio = f, f
	v.buffer = flv.AppendAudioConfig(v.buffer, u.DTS, f.Record)
}
