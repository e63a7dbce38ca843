package httpd

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/services/web_server/internal/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, origins ...string) (*Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Config: Config{MaxConnections: 4, CORSOrigins: origins}, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Listener: listener,
		Routes: []func(gin.IRoutes){func(r gin.IRoutes) {
			r.POST("/post", func(c *gin.Context) { c.String(http.StatusOK, "0") })
			r.GET("/live/:file", func(c *gin.Context) { c.String(http.StatusOK, "flv") })
			r.GET("/fault", func(*gin.Context) { panic("fault") })
		}},
	}
	if err := s.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, "http://" + listener.Addr().String()
}

func do(t *testing.T, method, url string, header ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func TestWhatIsNotThere(t *testing.T) {
	s, url := serve(t)
	for _, tc := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/post", http.StatusMethodNotAllowed, "POST"},
		{http.MethodPost, "/live/x.flv", http.StatusMethodNotAllowed, "GET"},
		{http.MethodGet, "/nowhere", http.StatusNotFound, ""},
		{http.MethodGet, "/fault", http.StatusInternalServerError, ""},
	} {
		response := do(t, tc.method, url+tc.path)
		if response.StatusCode != tc.status || response.Header.Get("Allow") != tc.allow ||
			response.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %s, %v", tc.method, tc.path, response.Status, response.Header)
		}
	}
	if n := testutil.ToFloat64(s.panics); n != 1 {
		t.Errorf("%v faults counted", n)
	}
}

func TestCORS(t *testing.T) {
	const page = "https://page.example"
	for _, tc := range []struct {
		origins []string
		want    string
	}{
		{[]string{"*"}, "*"},
		{[]string{"https://other.example", page}, page},
		{[]string{"https://other.example"}, ""},
		{nil, ""},
	} {
		_, url := serve(t, tc.origins...)
		if got := do(t, http.MethodGet, url+"/live/x.flv", "Origin", page).Header.Get("Access-Control-Allow-Origin"); got != tc.want {
			t.Errorf("%v: allowed %q, want %q", tc.origins, got, tc.want)
		}
		preflight := do(t, http.MethodOptions, url+"/post", "Origin", page, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "content-type")
		if allowed := preflight.StatusCode == http.StatusNoContent; allowed != (tc.want != "") {
			t.Errorf("%v: preflight %s", tc.origins, preflight.Status)
		}
		if tc.want != "" && !strings.Contains(preflight.Header.Get("Access-Control-Allow-Methods"), "POST") {
			t.Errorf("%v: preflight %v", tc.origins, preflight.Header)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	s, url := serve(t)
	address := strings.TrimPrefix(url, "http://")
	var held []net.Conn
	for range s.Config.MaxConnections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	beyond, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer beyond.Close()
	beyond.SetReadDeadline(time.Now().Add(webtest.Patience)) // fails the Read below
	if _, err := beyond.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection beyond the limit: %v", err)
	}
	held[0].Close()
	webtest.Eventually(t, "there is room again", func() bool {
		response, err := http.Get(url + "/live/x.flv")
		if err != nil {
			return false
		}
		response.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		return response.StatusCode == http.StatusOK
	})
}
