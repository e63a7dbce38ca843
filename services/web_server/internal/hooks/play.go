package hooks

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/web_server/internal/problem"
)

// playRequest is the body of POST /web_on_play.
type playRequest struct {
	DeviceID string `json:"device_id"`
	Kind     string `json:"kind"`
}

// playAnswer says what was started and where it can be played.
type playAnswer struct {
	DeviceID     string            `json:"device_id"`
	Kind         string            `json:"kind"`
	LeaseSeconds int               `json:"lease_seconds"`
	URLs         map[string]string `json:"urls"`
}

// onPlayRequest starts a stream before anybody plays it, and holds it for a lease. HLS through SRS needs it: SRS
// answers 404 for a list that does not exist yet, without asking us.
func (h *Handler) onPlayRequest(c *gin.Context) {
	var request playRequest
	if !h.decode(c, &request) {
		h.plays.WithLabelValues("malformed").Inc()
		return
	}
	kind, err := playableKind(request.Kind)
	if err != nil {
		h.refusePlay(c, problem.Details{Status: http.StatusBadRequest, Detail: "kind: " + err.Error()})
		return
	}
	if request.DeviceID == "" {
		h.refusePlay(c, problem.Details{Status: http.StatusBadRequest, Detail: `"device_id" is missing: 12 digits of SIM and 2 of channel, such as "06495940943803"`})
		return
	}
	id, err := jt1078.ParseStreamID(request.DeviceID)
	if err != nil {
		h.refusePlay(c, problem.Details{Status: http.StatusBadRequest, Detail: "device_id: " + err.Error(), Canonical: canonicalOf(err)})
		return
	}
	key := jt1078.Key{Kind: kind, ID: id}
	if err := h.Sessions.Lease(key); err != nil {
		h.refusePlay(c, problem.Details{Status: http.StatusServiceUnavailable, Detail: err.Error()})
		return
	}
	h.plays.WithLabelValues("ok").Inc()
	h.Log.Info().Stringer("stream", key).Str("remote", c.ClientIP()).Dur("lease", h.Lease).Msg("play request")
	c.JSON(http.StatusOK, playAnswer{
		DeviceID:     id.String(),
		Kind:         kind.String(),
		LeaseSeconds: int(h.Lease.Seconds()),
		URLs:         h.PlayURLs(c.Request.Host, key),
	})
}

func (h *Handler) refusePlay(c *gin.Context, d problem.Details) {
	h.plays.WithLabelValues("refused").Inc()
	h.Log.Warn().Err(errors.New(d.Detail)).Str("remote", c.ClientIP()).Msg("play request refused")
	problem.Abort(c, d)
}
