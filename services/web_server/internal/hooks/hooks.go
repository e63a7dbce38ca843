// Package hooks answers the requests that start and end a stream: SRS's http_hooks (POST /api/v1/sessions) and play
// requests (POST /web_on_play). An answer never waits for the vehicle.
package hooks

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/web_server/internal/problem"
)

// maxBody bounds a request's body; a callback has some 400 bytes, a player's query included.
const maxBody = 64 << 10

// maxID bounds what is remembered of a callback's ids, in bytes; SRS's own have less than 20.
const maxID = 128

// Sessions is who is told of viewers.
type Sessions interface {
	Play(server, clientID string, key jt1078.Key) error
	Stop(server, clientID string)
	Lease(key jt1078.Key) error
}

// Handler has the routes.
type Handler struct {
	Log      zerolog.Logger
	Metrics  prometheus.Registerer
	Sessions Sessions
	// PublishSecret is what our own publisher bears in its URL's query as `secret`.
	PublishSecret string
	// Lease is told to those who make a play request.
	Lease time.Duration
	// PlayURLs are where a stream can be played, by a name for the way: flv, srs_flv, …
	PlayURLs func(host string, key jt1078.Key) map[string]string

	hooks *prometheus.CounterVec
	plays *prometheus.CounterVec
}

// Initialize registers the metrics.
func (h *Handler) Initialize() error {
	h.hooks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "web_hooks_total", Help: "SRS callbacks by action and by what was answered.",
	}, []string{"action", "result"})
	h.plays = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "web_play_requests_total", Help: "Play requests (POST /web_on_play).",
	}, []string{"result"})
	h.Metrics.MustRegister(h.hooks, h.plays)
	return nil
}

// Register adds the routes.
func (h *Handler) Register(r gin.IRoutes) {
	r.POST("/api/v1/sessions", h.onHook)
	r.POST("/web_on_play", h.onPlayRequest)
}

// callback is the body of an SRS http_hook, as far as it is used. SRS 3 sends client_id as a number, later ones as
// text; people who try the hook by hand leave out what they do not know.
type callback struct {
	Action   string   `json:"action"`
	ClientID clientID `json:"client_id"`
	ServerID string   `json:"server_id"`
	App      string   `json:"app"`
	Stream   string   `json:"stream"`
	Param    string   `json:"param"`
}

type clientID string

func (c *clientID) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, (*string)(c))
	}
	var number json.Number
	if err := json.Unmarshal(text, &number); err != nil {
		return errors.New("client_id is neither text nor a number")
	}
	*c = clientID(number)
	return nil
}

// The codes of an answer to SRS: it takes any but 0 as a refusal and ends the client's connection.
const (
	codeOK      = "0"
	codeRefused = "1"
)

func (h *Handler) onHook(c *gin.Context) {
	var hook callback
	if !h.decode(c, &hook) {
		h.hooks.WithLabelValues("malformed", "refused").Inc()
		return
	}
	action := knownAction(hook.Action)
	if err := h.serve(&hook); err != nil {
		h.hooks.WithLabelValues(action, "refused").Inc()
		event := h.Log.Warn().Err(err)
		if canonical := canonicalOf(err); canonical != "" {
			event = event.Str("canonical", canonical)
		}
		event.Str("action", action).Str("stream", clip(hook.Stream)).Str("app", clip(hook.App)).
			Str("client", clip(string(hook.ClientID))).Msg("callback refused")
		c.String(http.StatusOK, codeRefused)
		return
	}
	h.hooks.WithLabelValues(action, "ok").Inc()
	h.Log.Debug().Str("action", action).Str("stream", clip(hook.Stream)).Str("client", clip(string(hook.ClientID))).Msg("callback")
	c.String(http.StatusOK, codeOK)
}

func (h *Handler) serve(hook *callback) error {
	for _, id := range [...]struct{ name, value string }{
		{"client_id", string(hook.ClientID)}, {"server_id", hook.ServerID}, {"stream", hook.Stream},
	} {
		if len(id.value) > maxID {
			return fmt.Errorf("%s has %d bytes, more than %d", id.name, len(id.value), maxID)
		}
	}
	switch hook.Action {
	case "on_play":
		key, err := keyOf(hook)
		if err != nil {
			return err
		}
		if hook.ClientID == "" {
			return errors.New("no client_id: the session could not be ended")
		}
		return h.Sessions.Play(hook.ServerID, string(hook.ClientID), key)
	case "on_stop":
		h.Sessions.Stop(hook.ServerID, string(hook.ClientID))
		return nil
	case "on_publish":
		if _, err := keyOf(hook); err != nil {
			return err
		}
		return h.checkSecret(hook.Param)
	}
	return nil // on_unpublish is our own doing, other actions are nobody's business here
}

// checkSecret lets nobody but our own publisher publish.
func (h *Handler) checkSecret(param string) error {
	query, err := url.ParseQuery(strings.TrimPrefix(param, "?"))
	if err != nil || subtle.ConstantTimeCompare([]byte(query.Get("secret")), []byte(h.PublishSecret)) != 1 {
		return errors.New("publishing is for web_server alone: the secret in the URL's query is missing or wrong (srs.publish_secret)")
	}
	return nil
}

// knownAction keeps the metric's label bounded.
func knownAction(action string) string {
	switch action {
	case "on_play", "on_stop", "on_publish", "on_unpublish":
		return action
	}
	return "other"
}

// decode reads a JSON body whatever the Content-Type says: curl -d calls it a form.
func (h *Handler) decode(c *gin.Context, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		problem.Abort(c, problem.Details{Status: http.StatusRequestEntityTooLarge, Detail: "the body is larger than 64 KiB"})
	case err != nil:
		problem.Abort(c, problem.Details{Status: http.StatusBadRequest, Detail: "the body could not be read: " + err.Error()})
	default:
		if err = json.Unmarshal(body, into); err == nil {
			return true
		}
		problem.Abort(c, problem.Details{Status: http.StatusBadRequest, Detail: "the body is not the JSON object that is expected here: " + err.Error()})
	}
	h.Log.Warn().Err(err).Str("path", c.Request.URL.Path).Str("remote", c.ClientIP()).Msg("request refused")
	return false
}

// clip bounds what a stranger can write into the log.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
