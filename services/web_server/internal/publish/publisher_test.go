package publish

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/relay"
	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testID = "06495940943803"

func testKey(t *testing.T) jt1078.Key {
	t.Helper()
	id, err := jt1078.ParseStreamID(testID)
	if err != nil {
		t.Fatal(err)
	}
	return jt1078.Key{Kind: jt1078.KindLive, ID: id}
}

// publishTo pushes the test stream until the test ends.
func publishTo(t *testing.T, url string, pool *relay.Pool[*pipeline.Pipeline]) *Publisher {
	t.Helper()
	stream, release := pool.Acquire(testKey(t))
	config := DefaultConfig()
	config.RetryMax = 200 * time.Millisecond
	p := &Publisher{
		Key: testKey(t), Config: config, URL: url, Secret: "s3cret&more", Pipeline: stream, Release: release,
		Log: zerolog.New(zerolog.NewTestWriter(t)), Metrics: NewMetrics(prometheus.NewRegistry()),
	}
	p.Initialize()
	t.Cleanup(p.Close)
	return p
}

func TestPublish(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	server := webtest.NewRTMPServer(t)
	p := publishTo(t, server.URL("live"), webtest.NewPool(t, source.Address, pipeline.DefaultConfig()))
	webtest.Eventually(t, "the server takes the stream", p.Publishing)
	probe := webtest.Run(t, server.URL("live/"+testID), 3)
	probe.CheckPlayable(t)
	if first := probe.Packets[0].Seconds(); first > 20 {
		t.Errorf("the publish does not start near 0: %v s", first)
	}
}

func TestPublishGoesOnAfterTheServersRestart(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	server := webtest.NewRTMPServer(t)
	reconnected := make(chan struct{}, 100)
	p := publishTo(t, server.URL("live"), webtest.NewPool(t, source.Address, pipeline.DefaultConfig()))
	p.Reconnected = func() { reconnected <- struct{}{} }
	webtest.Eventually(t, "the server takes the stream", p.Publishing)
	server.Stop()
	webtest.Eventually(t, "the loss is seen", func() bool { return !p.Publishing() })
	server.Start(t)
	webtest.Eventually(t, "the server takes the stream again", p.Publishing)
	<-reconnected
	webtest.Run(t, server.URL("live/"+testID), 2).CheckPlayable(t)
	if n := source.Total(); n != 1 {
		t.Errorf("%d subscriptions, want 1", n)
	}
}
