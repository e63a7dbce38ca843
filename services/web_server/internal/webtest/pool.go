package webtest

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/relay"
	"multi_process_server/services/web_server/internal/pipeline"
)

// NewPool makes pipelines from a relay until the test ends.
func NewPool(t testing.TB, address string, config pipeline.Config) *relay.Pool[*pipeline.Pipeline] {
	t.Helper()
	clientConfig := relay.DefaultConfig()
	clientConfig.Address = address
	client := &relay.Client{Config: clientConfig, Name: t.Name(), Log: zerolog.Nop()}
	if err := client.Initialize(); err != nil {
		t.Fatal(err)
	}
	metrics := pipeline.NewMetrics(prometheus.NewRegistry())
	pool := &relay.Pool[*pipeline.Pipeline]{New: func(key jt1078.Key) *pipeline.Pipeline {
		p := &pipeline.Pipeline{
			Key: key, Config: config, Metrics: metrics, Log: zerolog.New(zerolog.NewTestWriter(t)).With().Stringer("stream", key).Logger(),
			Subscribe: func(key jt1078.Key, h relay.Handler) interface{ Close() } { return client.Subscribe(key, h) },
		}
		p.Initialize()
		return p
	}}
	t.Cleanup(func() {
		pool.Close()
		client.Close()
	})
	return pool
}
