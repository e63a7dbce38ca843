package direct

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"multi_process_server/services/web_server/internal/flv"
	"multi_process_server/services/web_server/internal/pipeline"
)

// play writes FLV until the viewer leaves, stalls, sees no picture for long or the stream is closed. Live units are written as the tags that
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
	for left := h.Config.NoVideo; left > 0; left = h.Config.NoVideo - time.Since(p.LastVideo()) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), left)
		err := h.stream(ctx, c.Writer, control, &v, output, units)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		units = nil
	}
	return errNoVideo
}

// stream writes units, at first the given ones, until ctx ends or something fails.
func (h *Handler) stream(ctx context.Context, w io.Writer, control *http.ResponseController, v *viewer, output *pipeline.Output, units []*pipeline.Unit) error {
	for {
		if err := h.write(w, control, v.join(units)); err != nil {
			return err
		}
		var err error
		if units, err = output.Next(ctx, units); err != nil {
			return err
		}
	}
}

// errNoVideo ends a viewer by Config.NoVideo.
var errNoVideo = errors.New("no picture from the vehicle for direct.no_video")

// maxPiece is what a viewer has to take within Config.WriteTimeout, in bytes: a slow one may take its time over all
// that is queued.
const maxPiece = 64 << 10

func (h *Handler) write(w io.Writer, control *http.ResponseController, data []byte) error {
	for len(data) > 0 {
		piece := data[:min(len(data), maxPiece)]
		data = data[len(piece):]
		if err := control.SetWriteDeadline(time.Now().Add(h.Config.WriteTimeout)); err != nil {
			return err
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return control.Flush()
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
