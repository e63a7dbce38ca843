package httpd

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, origins ...string) (*Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Config: Config{CORSOrigins: origins}, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Listener: listener,
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
