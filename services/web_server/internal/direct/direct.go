// Package direct plays streams straight from web_server, without SRS: FLV over HTTP at /<kind>/<id>.flv.
package direct

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/relay"
	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/problem"
)

// Handler has the routes.
type Handler struct {
	Config  Config
	Log     zerolog.Logger
	Metrics prometheus.Registerer
	// Acquire shares a stream's pipeline until it is released.
	Acquire func(jt1078.Key) (p *pipeline.Pipeline, release func())

	viewers atomic.Int64
	refused *prometheus.CounterVec
	ended   *prometheus.CounterVec
	first   prometheus.Histogram
}

// Initialize registers the metrics.
func (h *Handler) Initialize() error {
	h.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "web_viewers_refused_total", Help: "Requests for direct playback that were not served: name, full, timeout (no picture came), failed (the start failed), closed.",
	}, []string{"reason"})
	h.ended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "web_viewers_ended_total", Help: "Direct viewers that ended: left, stalled (took nothing for direct.write_timeout), no_video (no picture came for direct.no_video), closed (by us).",
	}, []string{"reason"})
	h.first = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "web_viewer_first_picture_seconds", Help: "From a direct viewer's request to its first picture.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	})
	h.Metrics.MustRegister(h.refused, h.ended, h.first, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "web_viewers", Help: "Direct viewers, waiting ones included.", ConstLabels: prometheus.Labels{"format": "flv"},
	}, func() float64 { return float64(h.viewers.Load()) }))
	return nil
}

// Register adds the routes.
func (h *Handler) Register(r gin.IRoutes) {
	for _, kind := range [...]jt1078.Kind{jt1078.KindLive, jt1078.KindReplay} {
		r.GET("/"+kind.String()+"/:file", func(c *gin.Context) { h.serve(c, kind) })
	}
}

func (h *Handler) serve(c *gin.Context, kind jt1078.Kind) {
	began := time.Now()
	name, ok := strings.CutSuffix(c.Param("file"), ".flv")
	if !ok {
		h.refuse(c, "name", problem.Details{Status: http.StatusNotFound, Detail: "streams are played as /" + kind.String() + "/<id>.flv"})
		return
	}
	id, err := jt1078.ParseStreamID(name)
	if err != nil {
		details := problem.Details{Status: http.StatusNotFound, Detail: err.Error()}
		var notCanonical *jt1078.NotCanonicalError
		if errors.As(err, &notCanonical) {
			details.Canonical = notCanonical.Canonical.String()
		}
		h.refuse(c, "name", details)
		return
	}
	defer h.viewers.Add(-1)
	if h.viewers.Add(1) > int64(h.Config.MaxViewers) {
		h.refuse(c, "full", problem.Details{Status: http.StatusServiceUnavailable, Detail: "too many viewers (direct.max_viewers)"})
		return
	}
	// The listener's limit for reading a request would end the watch for the viewer's leaving, and with it the request.
	if err := http.NewResponseController(c.Writer).SetReadDeadline(time.Time{}); err != nil {
		h.ended.WithLabelValues("left").Inc()
		c.Abort()
		return
	}
	key := jt1078.Key{Kind: kind, ID: id}
	p, release := h.Acquire(key)
	defer release()
	output := p.Attach("flv")
	defer output.Close()

	log := h.Log.With().Stringer("stream", key).Str("remote", c.Request.RemoteAddr).Logger()
	units := h.firstPicture(c, p, output)
	if units == nil {
		return
	}
	h.first.Observe(time.Since(began).Seconds())
	log.Info().Msg("viewer")
	err = h.play(c, p, output, units)
	reason := "left"
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = "stalled"
	case errors.Is(err, errNoVideo):
		reason = "no_video"
	case errors.Is(err, pipeline.ErrClosed):
		reason = "closed"
	}
	h.ended.WithLabelValues(reason).Inc()
	log.Info().Str("reason", reason).Dur("watched", time.Since(began)).Msg("viewer ended")
}

// firstPicture waits for something to play. When there is nothing it has answered the request and returns nil.
func (h *Handler) firstPicture(c *gin.Context, p *pipeline.Pipeline, output *pipeline.Output) []*pipeline.Unit {
	ctx, cancel := context.WithTimeout(c.Request.Context(), h.Config.FirstPicture)
	defer cancel()
	for {
		state := p.State()
		if state.Stage == relay.StageFailed { // what may be queued is of before
			if state.RetryAfter > 0 {
				c.Header("Retry-After", strconv.Itoa(int(math.Ceil(state.RetryAfter.Seconds()))))
			}
			h.refuse(c, "failed", problem.Details{
				Status: http.StatusGatewayTimeout, Stage: missing(state), Detail: "the stream could not be started: " + state.Problem(),
			})
			return nil
		}
		units, err := output.Take()
		if len(units) > 0 {
			return units
		}
		if err != nil {
			h.refuse(c, "closed", problem.Details{Status: http.StatusServiceUnavailable, Detail: "web_server is stopping"})
			return nil
		}
		select {
		case <-output.Ready():
		case <-ctx.Done():
			if c.Request.Context().Err() != nil { // the viewer has gone
				h.ended.WithLabelValues("left").Inc()
				c.Abort()
				return nil
			}
			h.refuse(c, "timeout", problem.Details{
				Status: http.StatusGatewayTimeout, Stage: missing(state), Detail: h.noPicture(p, state),
			})
			return nil
		}
	}
}

func (h *Handler) noPicture(p *pipeline.Pipeline, state relay.State) string {
	text := fmt.Sprintf("no picture came within %v (direct.first_picture): %s", h.Config.FirstPicture, state.Problem())
	if complaint := p.Complaint(); complaint != "" {
		text += "; " + complaint
	}
	return text
}

// missing names the stage that did not come; empty where it is not the vehicle's start that failed.
func missing(s relay.State) string {
	if stage := s.Missing(); stage != 0 {
		return stage.String()
	}
	return ""
}

func (h *Handler) refuse(c *gin.Context, reason string, details problem.Details) {
	h.refused.WithLabelValues(reason).Inc()
	h.Log.Info().Str("path", c.Request.URL.Path).Str("remote", c.Request.RemoteAddr).Str("reason", details.Detail).Msg("viewer refused")
	problem.Abort(c, details)
}
