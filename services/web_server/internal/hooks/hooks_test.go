package hooks

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/web_server/internal/sessions"
)

const testSecret = "s3cret"

// recorder is a Sessions that remembers.
type recorder struct {
	playing map[string]string // client to stream
	leases  map[string]bool
	plays   int
	full    bool
}

func (r *recorder) Play(server, client string, key jt1078.Key) error {
	if r.full {
		return sessions.ErrFull
	}
	r.plays++
	r.playing[server+"/"+client] = key.String()
	return nil
}

func (r *recorder) Stop(server, client string) { delete(r.playing, server+"/"+client) }

func (r *recorder) Lease(key jt1078.Key) error {
	if r.full {
		return sessions.ErrFull
	}
	r.leases[key.String()] = true
	return nil
}

func newTestHandler(t *testing.T) (*recorder, http.Handler) {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	r := &recorder{playing: map[string]string{}, leases: map[string]bool{}}
	h := &Handler{
		Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Sessions: r, PublishSecret: testSecret, Lease: 30 * time.Second,
		PlayURLs: func(host string, key jt1078.Key) map[string]string {
			return map[string]string{"flv": "http://" + host + "/" + key.String() + ".flv"}
		},
	}
	if err := h.Initialize(); err != nil {
		t.Fatal(err)
	}
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	h.Register(engine)
	return r, engine
}

func post(h http.Handler, path, contentType, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request)
	return w
}

func TestCallbacks(t *testing.T) {
	const id = "06495940943803"
	long := strings.Repeat("x", maxID+1)
	for _, tc := range []struct {
		name, body string
		status     int
		answer     string
		playing    string
	}{
		{"by hand", `{"client_id":"dsfsdfsafd","stream":"` + id + `","action":"on_play"}`, 200, "0", "live/" + id},
		{"client_id is a number", `{"client_id":1985,"stream":"` + id + `","action":"on_play"}`, 200, "0", "live/" + id},
		{"HLS", `{"server_id":"vid-1","client_id":"a","app":"live","stream":"` + id + `.m3u8","action":"on_play"}`, 200, "0", "live/" + id},
		{"FLV", `{"server_id":"vid-1","client_id":"a","app":"live","stream":"` + id + `.flv","action":"on_play"}`, 200, "0", "live/" + id},
		{"replay", `{"client_id":"a","app":"replay","stream":"` + id + `","action":"on_play","param":"?token=abc"}`, 200, "0", "replay/" + id},
		{"20 digits", `{"client_id":"a","stream":"1234567890123456789001","action":"on_play"}`, 200, "0", "live/1234567890123456789001"},
		{"stop without play", `{"client_id":"a","stream":"` + id + `","action":"on_stop"}`, 200, "0", ""},
		{"stop of a malformed name", `{"client_id":"a","stream":"x","action":"on_stop"}`, 200, "0", ""},
		{"unpublish", `{"client_id":"a","stream":"` + id + `","action":"on_unpublish"}`, 200, "0", ""},
		{"an action that we do not know", `{"client_id":"a","stream":"` + id + `","action":"on_dvr"}`, 200, "0", ""},
		{"our publisher", `{"client_id":"a","app":"live","stream":"` + id + `","action":"on_publish","param":"?secret=` + testSecret + `"}`, 200, "0", ""},

		{"stranger publishes", `{"client_id":"a","app":"live","stream":"` + id + `","action":"on_publish","param":""}`, 200, "1", ""},
		{"stranger guesses", `{"client_id":"a","app":"live","stream":"` + id + `","action":"on_publish","param":"?secret=x"}`, 200, "1", ""},
		{"not canonical: short", `{"client_id":"a","stream":"6495940943803","action":"on_play"}`, 200, "1", ""},
		{"not canonical: zeros", `{"client_id":"a","stream":"0000000006495940943803","action":"on_play"}`, 200, "1", ""},
		{"channel 00", `{"client_id":"a","stream":"06495940943800","action":"on_play"}`, 200, "1", ""},
		{"no stream", `{"client_id":"a","action":"on_play"}`, 200, "1", ""},
		{"no client_id", `{"stream":"` + id + `","action":"on_play"}`, 200, "1", ""},
		{"another app", `{"client_id":"a","app":"talk","stream":"` + id + `","action":"on_play"}`, 200, "1", ""},
		{"client_id too long", `{"client_id":"` + long + `","stream":"` + id + `","action":"on_play"}`, 200, "1", ""},
		{"client_id too long a number", `{"client_id":` + strings.Repeat("1", maxID+1) + `,"stream":"` + id + `","action":"on_play"}`, 200, "1", ""},
		{"client_id too long to stop", `{"client_id":"` + long + `","stream":"` + id + `","action":"on_stop"}`, 200, "1", ""},
		{"server_id too long", `{"server_id":"` + long + `","client_id":"a","stream":"` + id + `","action":"on_play"}`, 200, "1", ""},
		{"stream too long", `{"client_id":"a","stream":"` + long + `","action":"on_play"}`, 200, "1", ""},
		{"ids as long as may be", `{"client_id":"` + long[1:] + `","stream":"` + id + `","action":"on_play"}`, 200, "0", "live/" + id},
		{"not JSON", `stream=` + id, 400, "", ""},
		{"empty", ``, 400, "", ""},
		{"not an object", `[]`, 400, "", ""},
		{"client_id of another type", `{"client_id":{},"stream":"` + id + `","action":"on_play"}`, 400, "", ""},
		{"too large", `{"stream":"` + strings.Repeat("x", maxBody) + `"}`, 413, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, contentType := range []string{"application/json", "application/x-www-form-urlencoded", ""} {
				r, h := newTestHandler(t)
				w := post(h, "/api/v1/sessions", contentType, tc.body)
				if w.Code != tc.status || tc.answer != "" && w.Body.String() != tc.answer {
					t.Fatalf("%q: got %d %q, want %d %q", contentType, w.Code, w.Body, tc.status, tc.answer)
				}
				if tc.status != http.StatusOK && w.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("error of type %q", w.Header().Get("Content-Type"))
				}
				if got := only(r.playing); got != tc.playing {
					t.Errorf("plays %q, want %q", got, tc.playing)
				}
			}
		})
	}
}

func only(m map[string]string) string {
	for _, v := range m {
		return v
	}
	return ""
}

func TestRefusedWhenFull(t *testing.T) {
	r, h := newTestHandler(t)
	r.full = true
	if w := post(h, "/api/v1/sessions", "", `{"client_id":"a","stream":"06495940943803","action":"on_play"}`); w.Code != 200 || w.Body.String() != "1" {
		t.Errorf("callback: %d %q", w.Code, w.Body)
	}
	if w := post(h, "/web_on_play", "", `{"device_id":"06495940943803"}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("play request: %d %q", w.Code, w.Body)
	}
}

func TestPlayRequest(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"by hand", `{"device_id":"06495940943803"}`, 200, `"flv":"http://example.com/live/06495940943803.flv"`},
		{"replay", `{"device_id":"06495940943803","kind":"replay"}`, 200, `"kind":"replay"`},
		{"not canonical", `{"device_id":"6495940943803"}`, 400, `"canonical":"06495940943803"`},
		{"missing", `{}`, 400, "device_id"},
		{"not a string", `{"device_id":6495940943803}`, 400, "device_id"},
		{"other kind", `{"device_id":"06495940943803","kind":"talk"}`, 400, "kind"},
		{"not JSON", `device_id`, 400, "JSON"},
		{"too large", strings.Repeat("x", maxBody+1), 413, "64 KiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, h := newTestHandler(t)
			w := post(h, "/web_on_play", "application/x-www-form-urlencoded", tc.body)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
				t.Fatalf("got %d %s, want %d and %s", w.Code, w.Body, tc.status, tc.want)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("not JSON: %s", w.Body)
			}
			if leased := len(r.leases) == 1; leased != (tc.status == 200) {
				t.Errorf("leases %v", r.leases)
			}
		})
	}
}

func TestGetIsRefused(t *testing.T) {
	_, h := newTestHandler(t)
	for _, path := range []string{"/api/v1/sessions", "/web_on_play"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
			t.Errorf("%s: %d, Allow %q", path, w.Code, w.Header().Get("Allow"))
		}
	}
}

// What a real SRS sent, line by line: every player is accepted and gone at the end; its publishers had no secret.
func TestRecordedCallbacks(t *testing.T) {
	dir := os.Getenv("RECORDINGS_DIR")
	if dir == "" {
		t.Skip("RECORDINGS_DIR is not set: no recordings")
	}
	file, err := os.Open(filepath.Join(dir, "srs", "hooks.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, h := newTestHandler(t)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var hook struct{ Action string }
		if err := json.Unmarshal(lines.Bytes(), &hook); err != nil {
			t.Fatal(err)
		}
		want := "0"
		if hook.Action == "on_publish" {
			want = "1"
		}
		if w := post(h, "/api/v1/sessions", "application/json", lines.Text()); w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s: %d %q", lines.Text(), w.Code, w.Body)
		}
	}
	if r.plays != 7 {
		t.Errorf("%d plays, want 7", r.plays)
	}
	// The two HLS players were still there when the recording ended.
	for client, stream := range r.playing {
		if stream != "live/06495940943803" {
			t.Errorf("%s still plays %s", client, stream)
		}
	}
	if len(r.playing) != 2 {
		t.Errorf("still playing: %v", r.playing)
	}
}
