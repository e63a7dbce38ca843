package direct

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	relayv1 "multi_process_server/proto/relay/v1"

	"multi_process_server/services/web_server/internal/flv"
	"multi_process_server/services/web_server/internal/httpd"
	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/problem"
	"multi_process_server/services/web_server/internal/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testID  = "06495940943803"
	testURL = "/live/" + testID + ".flv"
)

func serve(t *testing.T, source *webtest.Relay, config Config, streams pipeline.Config) (*Handler, *httptest.Server) {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	pool := webtest.NewPool(t, source.Address, streams)
	h := &Handler{Config: config, Log: zerolog.New(zerolog.NewTestWriter(t)), Metrics: prometheus.NewRegistry(), Acquire: pool.Acquire}
	if err := h.Initialize(); err != nil {
		t.Fatal(err)
	}
	engine := gin.New()
	h.Register(engine)
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	return h, server
}

// get returns the response with its body still coming.
func get(t *testing.T, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		response.Body.Close()
		transport.CloseIdleConnections()
	})
	return response
}

func TestPlayFLV(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	_, server := serve(t, source, DefaultConfig(), pipeline.DefaultConfig())
	for _, kind := range []string{"live", "replay"} {
		probe := webtest.Run(t, server.URL+"/"+kind+"/"+testID+".flv", 2)
		probe.CheckPlayable(t)
		if v := probe.Stream(t, "video"); v.Width != 320 || v.Height != 240 || len(probe.Streams) != 2 {
			t.Errorf("%s: %+v", kind, probe.Streams)
		}
	}
	if volume := webtest.Decode(t, server.URL+testURL, 2); volume < -25 {
		t.Errorf("the tone is at %v dB", volume)
	}
	webtest.Eventually(t, "the streams are released", func() bool {
		return source.Subscribers("live/"+testID) == 0 && source.Subscribers("replay/"+testID) == 0
	})
}

func TestPlayWithoutSound(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240"), Silent: true})
	_, server := serve(t, source, DefaultConfig(), pipeline.DefaultConfig())
	webtest.Run(t, server.URL+testURL, 1).CheckPlayable(t)
	if volume := webtest.Decode(t, server.URL+testURL, 1); volume > -80 {
		t.Errorf("silence is at %v dB", volume)
	}
}

func TestOneSubscriptionForAllViewers(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	h, server := serve(t, source, DefaultConfig(), pipeline.DefaultConfig())
	var viewers []*http.Response
	for range 5 {
		viewers = append(viewers, get(t, server.URL+testURL))
	}
	for _, viewer := range viewers {
		if _, err := io.CopyN(io.Discard, viewer.Body, 100_000); err != nil {
			t.Fatal(err)
		}
	}
	if n := source.Total(); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
	for _, viewer := range viewers {
		viewer.Body.Close()
	}
	webtest.Eventually(t, "the stream is released", func() bool { return source.Subscribers("live/"+testID) == 0 })
	webtest.Eventually(t, "the viewers are counted", func() bool { return testutil.ToFloat64(h.ended.WithLabelValues("left")) == 5 })
}

func TestRefused(t *testing.T) {
	failure := webtest.Content{Fail: webtest.StartFailure(relayv1.Stage_STAGE_CONNECTED, 3*time.Second)}
	impatient := DefaultConfig()
	impatient.FirstPicture = 50 * time.Millisecond
	full := DefaultConfig()
	full.MaxViewers = 0
	for _, tc := range []struct {
		name    string
		path    string
		content webtest.Content
		config  Config
		status  int
		want    problem.Details
	}{
		{"not canonical", "/live/6495940943803.flv", webtest.Content{}, DefaultConfig(), 404, problem.Details{Canonical: testID, Detail: "not canonical"}},
		{"malformed", "/live/movie.flv", webtest.Content{}, DefaultConfig(), 404, problem.Details{Detail: "stream id"}},
		{"no suffix", "/live/" + testID, webtest.Content{}, DefaultConfig(), 404, problem.Details{Detail: "/live/<id>.flv"}},
		{"nothing comes", testURL, webtest.Content{}, impatient, 504, problem.Details{Detail: "direct.first_picture", Stage: "acknowledged"}},
		{"the start fails", testURL, failure, DefaultConfig(), 504, problem.Details{Detail: "could not be started", Stage: "connected"}},
		{"full", testURL, webtest.Content{}, full, 503, problem.Details{Detail: "direct.max_viewers"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, server := serve(t, webtest.NewRelay(t, tc.content), tc.config, pipeline.DefaultConfig())
			response := get(t, server.URL+tc.path)
			var got problem.Details
			if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tc.status || got.Canonical != tc.want.Canonical || got.Stage != tc.want.Stage || !strings.Contains(got.Detail, tc.want.Detail) {
				t.Errorf("%s %+v", response.Status, got)
			}
			if retry := response.Header.Get("Retry-After"); (retry != "") != (tc.content.Fail != nil) {
				t.Errorf("Retry-After %q", retry)
			}
			if testutil.CollectAndCount(h.refused) != 1 {
				t.Error("not counted")
			}
		})
	}
}

// Whoever stops reading is dropped; who reads beside it loses nothing.
func TestViewerThatStopsReading(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "1280x720", "-b:v", "8M", "-qmax", "4")})
	config := DefaultConfig()
	config.WriteTimeout = 500 * time.Millisecond
	h, server := serve(t, source, config, pipeline.DefaultConfig())
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	connection.(*net.TCPConn).SetReadBuffer(4096) // a larger one only takes longer to fill
	if _, err := io.WriteString(connection, "GET "+testURL+" HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	reading := get(t, server.URL+testURL)
	go io.Copy(io.Discard, reading.Body) // ends with the test
	webtest.Eventually(t, "the one that does not read is dropped", func() bool { return testutil.ToFloat64(h.ended.WithLabelValues("stalled")) == 1 })
	webtest.Eventually(t, "one viewer is left", func() bool { return h.viewers.Load() == 1 })
	reading.Body.Close()
	webtest.Eventually(t, "the other has left", func() bool { return h.viewers.Load() == 0 })
}

// Who reads slowly is not dropped for it, though it takes longer than direct.write_timeout over what is queued.
func TestSlowViewerStays(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "1280x720", "-b:v", "8M", "-qmax", "4")})
	config := DefaultConfig()
	config.WriteTimeout = 2 * time.Second
	h, _ := serve(t, source, config, pipeline.DefaultConfig())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httpd.Server{
		Config: httpd.DefaultConfig(), Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Listener: listener,
		Routes: []func(gin.IRoutes){h.Register},
	}
	if err := server.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	connection.(*net.TCPConn).SetReadBuffer(64 << 10) // a larger one only takes longer to fill
	if _, err := io.WriteString(connection, "GET "+testURL+" HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 32<<10)
	for began := time.Now(); time.Since(began) < 6*time.Second; time.Sleep(80 * time.Millisecond) { // 400 KB/s of some MB/s
		if _, err := io.ReadFull(connection, piece); err != nil {
			t.Fatal(err)
		}
	}
	if n := testutil.CollectAndCount(h.ended); n != 0 {
		t.Error("a viewer ended")
	}
}

// A viewer lasts through a pause, and ends when no pictures come for long.
func TestViewerWithoutPictures(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	config := DefaultConfig()
	config.NoVideo = 2 * time.Second
	h, server := serve(t, source, config, pipeline.DefaultConfig())
	viewer := get(t, server.URL+testURL)
	if _, err := io.CopyN(io.Discard, viewer.Body, 30_000); err != nil {
		t.Fatal(err)
	}
	pause := func(on bool) { source.Set(func(c *webtest.Content) { c.Paused = on }) }
	pause(true)
	time.Sleep(500 * time.Millisecond)
	pause(false)
	for began := time.Now(); time.Since(began) < config.NoVideo+time.Second; { // longer than the first patience
		if _, err := io.CopyN(io.Discard, viewer.Body, 5_000); err != nil {
			t.Fatal(err)
		}
	}
	pause(true)
	if _, err := io.Copy(io.Discard, viewer.Body); err != nil {
		t.Error(err)
	}
	webtest.Eventually(t, "the end is counted", func() bool { return testutil.ToFloat64(h.ended.WithLabelValues("no_video")) == 1 })
}

// Who comes after the vehicle's failure is told of it, though another still holds the stream.
func TestFailureAfterPictures(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	_, server := serve(t, source, DefaultConfig(), pipeline.DefaultConfig())
	early := get(t, server.URL+testURL)
	if _, err := io.CopyN(io.Discard, early.Body, 30_000); err != nil {
		t.Fatal(err)
	}
	source.Set(func(c *webtest.Content) { c.Fail = webtest.StartFailure(relayv1.Stage_STAGE_CONNECTED, time.Minute) })
	webtest.Eventually(t, "the subscription has ended", func() bool { return source.Subscribers("live/"+testID) == 0 })
	webtest.Eventually(t, "a viewer is told", func() bool {
		late := get(t, server.URL+testURL)
		defer late.Body.Close()
		var got problem.Details
		return late.StatusCode == http.StatusGatewayTimeout && json.NewDecoder(late.Body).Decode(&got) == nil && got.Stage == "connected"
	})
}

// The listener's limit for reading a request does not end the wait for a picture.
func TestWaitLongerThanReadTimeout(t *testing.T) {
	config := DefaultConfig()
	config.FirstPicture = 500 * time.Millisecond
	h, _ := serve(t, webtest.NewRelay(t, webtest.Content{}), config, pipeline.DefaultConfig())
	engine := gin.New()
	h.Register(engine)
	server := httptest.NewUnstartedServer(engine)
	server.Config.ReadTimeout = 100 * time.Millisecond
	server.Start()
	defer server.Close()
	if response := get(t, server.URL+testURL); response.StatusCode != http.StatusGatewayTimeout {
		t.Error(response.Status)
	}
}

// A joiner gets the cached group of pictures in a burst that ends at now.
func TestJoinerIsNotBehind(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240", "-g", "75")})
	_, server := serve(t, source, DefaultConfig(), pipeline.DefaultConfig())
	first := get(t, server.URL+testURL)
	if _, err := io.CopyN(io.Discard, first.Body, 30_000); err != nil {
		t.Fatal(err)
	}
	time.Sleep(800 * time.Millisecond) // of a group of three seconds
	joiner := bufio.NewReader(get(t, server.URL+testURL).Body)
	if _, err := joiner.Discard(len(flv.Header)); err != nil {
		t.Fatal(err)
	}
	last := uint32(0)
	for n := 0; n < 10; {
		kind, at := readTag(t, joiner)
		if kind != 9 { // video
			continue
		}
		if n++; last != 0 && at-last > 2 {
			t.Errorf("picture %d of the burst comes %d ms after the one before", n, at-last)
		}
		last = at
	}
}

// readTag returns a tag's type and timestamp in ms.
func readTag(t *testing.T, r *bufio.Reader) (kind byte, at uint32) {
	t.Helper()
	header, err := r.Peek(11)
	if err != nil {
		t.Fatal(err)
	}
	size := int(header[1])<<16 | int(header[2])<<8 | int(header[3])
	kind, at = header[0], uint32(header[7])<<24|uint32(header[4])<<16|uint32(header[5])<<8|uint32(header[6])
	if _, err := r.Discard(11 + size + 4); err != nil {
		t.Fatal(err)
	}
	return kind, at
}

func TestViewerStaysThroughRestartAndChangeOfResolution(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	_, server := serve(t, source, DefaultConfig(), pipeline.DefaultConfig())
	viewer := get(t, server.URL+testURL)
	defer viewer.Body.Close()
	if _, err := io.CopyN(io.Discard, viewer.Body, 30_000); err != nil {
		t.Fatal(err)
	}
	address := source.Address
	source.Stop()
	source.Set(func(c *webtest.Content) { c.Clip = webtest.NewClip(t, "640x480") })
	source.Start(t, address)
	for header := make([]byte, 0, 4); string(header) != "\x17\x00\x00\x00"; { // the new AVC sequence header
		var next [1]byte
		if _, err := io.ReadFull(viewer.Body, next[:]); err != nil {
			t.Fatal(err)
		}
		if len(header) == 4 {
			header = append(header[:0], header[1:]...)
		}
		header = append(header, next[0])
	}
	if _, err := io.CopyN(io.Discard, viewer.Body, 100_000); err != nil {
		t.Fatal(err)
	}
	webtest.Run(t, server.URL+testURL, 1).CheckPlayable(t)
}
