package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"multi_process_server/services/web_server/internal/webtest"
)

const testID = "06495940943803"

// instance is the real binary, running.
type instance struct {
	t       *testing.T
	url     string
	admin   string
	process *exec.Cmd
	output  *bytes.Buffer
	told    bool // to stop
}

var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "web_server")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(folder, "web_server")
	build := exec.Command("go", "build", "-race", "-o", binary, ".")
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

// start runs web_server until the test ends, when it must stop by SIGTERM and have found no race.
func start(t *testing.T, environment ...string) *instance {
	t.Helper()
	address, admin := webtest.FreeAddress(t), webtest.FreeAddress(t)
	i := &instance{t: t, url: "http://" + address, admin: "http://" + admin, output: &bytes.Buffer{}}
	i.process = exec.Command(binary)
	i.process.Env = append(os.Environ(), "WEB_HTTP_ADDRESS="+address, "WEB_ADMIN_ADDRESS="+admin,
		"WEB_SRS_LIVE_RTMP_URL=", "WEB_SRS_LIVE_API_URL=", "WEB_SRS_REPLAY_RTMP_URL=", "WEB_SRS_REPLAY_API_URL=",
		"WEB_SESSIONS_LINGER=200ms")
	i.process.Env = append(i.process.Env, environment...)
	i.process.Stdout, i.process.Stderr = i.output, i.output
	if err := i.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !i.told { // a second signal would kill
			i.process.Process.Signal(syscall.SIGTERM) // Wait tells
		}
		timer := time.AfterFunc(webtest.Patience, func() { i.process.Process.Kill() })
		defer timer.Stop()
		if err := i.process.Wait(); err != nil || t.Failed() {
			t.Errorf("web_server: %v\n%s", err, i.output)
		}
	})
	webtest.Eventually(t, "web_server is up", func() bool {
		for _, url := range []string{i.admin + "/healthz", i.url} {
			response, err := http.Get(url)
			if err != nil {
				return false
			}
			response.Body.Close()
		}
		return true
	})
	return i
}

func (i *instance) do(response *http.Response, err error) (status int, body string) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// curl posts as `curl -d` does.
func (i *instance) curl(path, body string) (status int, answer string) {
	i.t.Helper()
	return i.do(http.Post(i.url+path, "application/x-www-form-urlencoded", strings.NewReader(body)))
}

func (i *instance) ready() (status int, why string) {
	i.t.Helper()
	return i.do(http.Get(i.admin + "/readyz"))
}

// metric is a line of /metrics.
func (i *instance) metric(name string) string {
	i.t.Helper()
	_, text := i.do(http.Get(i.admin + "/metrics"))
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return value
		}
	}
	return ""
}

func TestReadyWhenTheRelayAnswers(t *testing.T) {
	relay := webtest.NewRelay(t, webtest.Content{})
	address := relay.Address
	relay.Stop()
	web := start(t, "WEB_RELAY_ADDRESS="+address)
	webtest.Eventually(t, "it has started", func() bool { _, why := web.ready(); return !strings.Contains(why, "starting") })
	if status, why := web.ready(); status != http.StatusServiceUnavailable || !strings.Contains(why, "relay: ") {
		t.Errorf("without a relay: %d %s", status, why)
	}
	relay.Start(t, address)
	webtest.Eventually(t, "web_server is ready", func() bool { status, _ := web.ready(); return status == http.StatusOK })
}

// From a callback made by hand to a picture in the RTMP server, and back to nothing.
func TestCallbackToRTMP(t *testing.T) {
	relay := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	server := webtest.NewRTMPServer(t)
	web := start(t, "WEB_RELAY_ADDRESS="+relay.Address, "WEB_SRS_LIVE_RTMP_URL="+server.URL("live"))
	if status, body := web.curl("/api/v1/sessions", `{"client_id":"a","stream":"`+testID+`","action":"on_play"}`); status != 200 || body != "0" {
		t.Fatalf("on_play: %d %q", status, body)
	}
	webtest.Eventually(t, "the stream is published", func() bool { return web.metric("web_publishing") == "1" })
	webtest.Run(t, server.URL("live/"+testID), 2).CheckPlayable(t)
	webtest.Run(t, web.url+"/live/"+testID+".flv", 1).CheckPlayable(t)
	if relay.Total() != 1 {
		t.Errorf("%d subscriptions for SRS and a direct viewer", relay.Total())
	}
	if status, body := web.curl("/api/v1/sessions", `{"client_id":"a","stream":"`+testID+`","action":"on_stop"}`); status != 200 || body != "0" {
		t.Fatalf("on_stop: %d %q", status, body)
	}
	webtest.Eventually(t, "the stream is released", func() bool { return relay.Subscribers("live/"+testID) == 0 })
}

// How long it takes from a callback to the first picture at the RTMP server, for a stream that runs already.
func TestRunningStreamIsPublishedAtOnce(t *testing.T) {
	relay := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	server := webtest.NewRTMPServer(t)
	web := start(t, "WEB_RELAY_ADDRESS="+relay.Address, "WEB_SRS_LIVE_RTMP_URL="+server.URL("live"))
	viewer, err := http.Get(web.url + "/live/" + testID + ".flv")
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Body.Close()
	if _, err := io.CopyN(io.Discard, viewer.Body, 20_000); err != nil {
		t.Fatal(err)
	}
	web.curl("/api/v1/sessions", `{"client_id":"a","stream":"`+testID+`","action":"on_play"}`)
	const count, sum = "web_publish_first_picture_seconds_count", "web_publish_first_picture_seconds_sum"
	webtest.Eventually(t, "a picture was sent", func() bool { return web.metric(count) == "1" })
	t.Logf("the first picture was sent %s s after the callback", web.metric(sum))
}

func TestPlayRequest(t *testing.T) {
	relay := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	web := start(t, "WEB_RELAY_ADDRESS="+relay.Address, "WEB_SESSIONS_LEASE=1s", "WEB_SRS_LIVE_PLAY_URL=http://srs.example:8080/live")
	status, body := web.curl("/web_on_play", `{"device_id":"`+testID+`"}`)
	if status != 200 || !strings.Contains(body, "http://srs.example:8080/live/"+testID+".flv") {
		t.Fatalf("%d %s", status, body)
	}
	flv := regexp.MustCompile(`"flv":"([^"]+)"`).FindStringSubmatch(body)
	if flv == nil {
		t.Fatal(body)
	}
	webtest.Run(t, flv[1], 2).CheckPlayable(t)
	if relay.Total() != 1 {
		t.Errorf("%d subscriptions", relay.Total())
	}
	webtest.Eventually(t, "the lease ends", func() bool { return relay.Subscribers("live/"+testID) == 0 })
}

// A viewer does not keep the process from stopping: the cleanup fails when it takes too long.
func TestStopsUnderViewers(t *testing.T) {
	relay := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	web := start(t, "WEB_RELAY_ADDRESS="+relay.Address)
	viewer, err := http.Get(web.url + "/live/" + testID + ".flv")
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Body.Close()
	go http.Get(web.url + "/live/06495940943804.flv") // ends with web_server
	web.told = true
	if err := web.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, viewer.Body); err != nil {
		t.Errorf("the viewer's response ended with %v", err)
	}
}
