package direct

import (
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/webtest"
)

const testID = "06495940943803"

func serve(t *testing.T, relay *webtest.Relay, config Config, streams pipeline.Config) (*Handler, *httptest.Server) {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	pool := webtest.NewPool(t, relay.Address, streams)
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

func TestPlayFLV(t *testing.T) {
	relay := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	_, server := serve(t, relay, DefaultConfig(), pipeline.DefaultConfig())
	for _, kind := range []string{"live", "replay"} {
		probe := webtest.Run(t, server.URL+"/"+kind+"/"+testID+".flv", 3)
		probe.CheckPlayable(t)
		if v := probe.Stream(t, "video"); v.Width != 320 || v.Height != 240 {
			t.Errorf("%s: %dx%d", kind, v.Width, v.Height)
		}
		t.Log(probe.Streams)
	}
}
