package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multi_process_server/tools/internal/simvehicle"
)

// The lines of the documentation, run by curl as they are written there but for the port.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl := need(t, "curl", "curl")
	p := commonPlatform(t)
	v := p.vehicle(t, func(v *simvehicle.Vehicle) { v.SIM, v.Channels = mustSIM(t, "064959409438"), 4 })
	run := func(path, body string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), curl, "-s", "-w", " %{http_code}", p.web(path), "-X", "POST", "-d", body).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}

	// A play request starts the vehicle, and with no viewer it ends with its lease.
	if out := run("/web_on_play", `{"device_id":"06495940943803"}`); !strings.HasSuffix(out, " 200") {
		t.Fatal(out)
	}
	eventually(t, "the vehicle sends", func() bool { return v.count(simvehicle.EventSending, 3) == 1 })
	v.waitIdle(t, 3)

	// A session starts the vehicle and holds it until its on_stop.
	if out := run("/api/v1/sessions", `{"client_id":"dsfsdfsafd","stream":"06495940943803","action":"on_play"}`); out != "0 200" {
		t.Fatal(out)
	}
	eventually(t, "the vehicle sends again", func() bool { return v.count(simvehicle.EventSending, 3) == 2 })
	if out := run("/api/v1/sessions", `{"client_id":"dsfsdfsafd","stream":"06495940943803","action":"on_stop"}`); out != "0 200" {
		t.Fatal(out)
	}
	eventually(t, "the vehicle was told to stop again and has", func() bool {
		return v.count(simvehicle.EventStop, 3) == 2 && !v.Active(3)
	})
}

// What SRS really posts, as it was recorded, and the client list that its API then shows.
func TestRecordedCallbacks(t *testing.T) {
	t.Parallel()
	recordings := os.Getenv("RECORDINGS_DIR")
	if recordings == "" {
		t.Skip("RECORDINGS_DIR is not set: the recorded callbacks of an SRS are not here")
	}
	log, err := os.ReadFile(filepath.Join(recordings, "srs", "hooks.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	srs := newSRS(t, "vid-158b674")
	p := ownPlatform(t, "WEB_SRS_LIVE_API_URL="+srs.URL, "WEB_SESSIONS_RECONCILE=500ms", "WEB_SRS_PUBLISH_SECRET=between us")
	vehicles := make([]*vehicle, 0, 2)
	for _, sim := range []string{"013912345678", "064959409438"} {
		vehicles = append(vehicles, p.vehicle(t, func(v *simvehicle.Vehicle) { v.SIM, v.Channels = mustSIM(t, sim), 4 }))
	}

	for lines := bufio.NewScanner(bytes.NewReader(log)); lines.Scan(); {
		var callback map[string]any
		if err := json.Unmarshal(lines.Bytes(), &callback); err != nil {
			t.Fatal(err)
		}
		a := post(t, p.web("/api/v1/sessions"), lines.Text())
		if callback["action"] != "on_publish" {
			a.expect(t, http.StatusOK, "0")
			continue
		}
		// Whoever published there was not us; with our secret it would have been.
		a.expect(t, http.StatusOK, "1")
		callback["param"] = "?secret=between+us"
		ours, err := json.Marshal(callback)
		if err != nil {
			t.Fatal(err)
		}
		post(t, p.web("/api/v1/sessions"), string(ours)).expect(t, http.StatusOK, "0")
	}
	// In the recording two HLS players of the second vehicle never said goodbye. SRS does not list them: they have gone.
	eventually(t, "all sessions have ended", func() bool { return p.metric(t, p.Web, "web_sessions") == 0 })
	if n := p.metric(t, p.Web, "web_sessions_ended_total", `reason="unlisted"`); n != 2 {
		t.Errorf("%v sessions ended because SRS does not list them, want 2", n)
	}
	vehicles[0].waitIdle(t, 1)
	vehicles[1].waitIdle(t, 3)
	if n := vehicles[1].count(simvehicle.EventSending, 3); n != 1 {
		t.Errorf("the vehicle dialled %d times for its overlapping players", n)
	}
}

// newSRS is the part of an SRS's API that web_server asks for: a server without clients.
func newSRS(t *testing.T, server string) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/clients/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"code":0,"server":%q,"service":"21385684","pid":"1","clients":[]}`, server)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Bad requests get a clear answer.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		says                     string
	}{
		{"play: not JSON", "POST", "/web_on_play", "hello", 400, "JSON"},
		{"play: nothing", "POST", "/web_on_play", "", 400, "JSON"},
		{"play: no id", "POST", "/web_on_play", "{}", 400, "device_id"},
		{"play: id not canonical", "POST", "/web_on_play", `{"device_id":"6495940943803"}`, 400, `"canonical":"06495940943803"`},
		{"play: 20 digits for 12", "POST", "/web_on_play", `{"device_id":"0000000006495940943803"}`, 400, `"canonical":"06495940943803"`},
		{"play: id not an id", "POST", "/web_on_play", `{"device_id":"../../etc/passwd"}`, 400, "device_id"},
		{"play: kind", "POST", "/web_on_play", `{"device_id":"06495940943803","kind":"talk"}`, 400, "kind"},
		{"play: too large", "POST", "/web_on_play", `{"device_id":"` + strings.Repeat("0", 70000) + `"}`, 413, "64 KiB"},
		{"play: GET", "GET", "/web_on_play", "", 405, ""},
		{"hook: not JSON", "POST", "/api/v1/sessions", "<xml/>", 400, "JSON"},
		{"hook: id not canonical", "POST", "/api/v1/sessions", `{"client_id":"1","stream":"6495940943803","action":"on_play"}`, 200, "1"},
		{"hook: no such app", "POST", "/api/v1/sessions", `{"client_id":"1","app":"vod","stream":"06495940943803","action":"on_play"}`, 200, "1"},
		{"hook: no client", "POST", "/api/v1/sessions", `{"stream":"06495940943803","action":"on_play"}`, 200, "1"},
		{"hook: stop of nobody", "POST", "/api/v1/sessions", `{"client_id":"nobody","stream":"06495940943803","action":"on_stop"}`, 200, "0"},
		{"hook: client by number", "POST", "/api/v1/sessions", `{"client_id":107,"stream":"06495940943803","action":"on_stop"}`, 200, "0"},
		{"hook: publisher from outside", "POST", "/api/v1/sessions", `{"client_id":"x","app":"live","stream":"06495940943803","action":"on_publish"}`, 200, "1"},
		{"hook: GET", "GET", "/api/v1/sessions", "", 405, ""},
		{"no such page", "GET", "/nothing", "", 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			do(t, c.method, p.web(c.path), c.body).expect(t, c.status, c.says)
		})
	}
}

// What is not JT/T 1078 or JT/T 808 harms nobody.
func TestGarbageOnVehiclePorts(t *testing.T) {
	t.Parallel()
	p := commonPlatform(t)
	v := p.vehicle(t, nil)
	watching := view(t, p.flv(v.id(1)))
	watching.waitFor(t, 10)
	noise := bytes.Repeat([]byte("GET / HTTP/1.1\r\n\r\n\x7e\x30\x31\x63\x64\x81\xff\xff"), 4000)
	lie := []byte("\x30\x31\x63\x64\x81\xe2\x00\x01\x01\x35\x99\x99\x99\x99\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\xff\xff")
	alarm := append([]byte("\x30\x31\x63\x64"), bytes.Repeat([]byte("00_64_6401_1.jpg"), 100)...)
	for _, address := range []string{p.Addresses.Live, p.Addresses.Replay, p.Addresses.Gateway} {
		for _, sent := range [][]byte{noise, lie, lie[:10], alarm, nil} {
			conn, err := net.DialTimeout("tcp", address, patience)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			conn.Write(sent) // the other side may have closed by then
			conn.Close()
		}
	}
	watching.waitFor(t, 50)
	if text := watching.complaints(); text != "" {
		t.Errorf("the viewer complains: %s", text)
	}
	if err := p.JT1078.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
