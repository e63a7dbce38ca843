// Command web_server lets browsers watch vehicles. SRS tells it by callbacks who plays what; it takes the stream from
// jt1078_server for as long as somebody does, and pushes it to SRS by RTMP with the sound as AAC. It also plays streams
// itself, as HTTP-FLV.
package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/registry"
	"multi_process_server/pkg/relay"
	"multi_process_server/pkg/service"
	"multi_process_server/services/web_server/internal/direct"
	"multi_process_server/services/web_server/internal/hooks"
	"multi_process_server/services/web_server/internal/httpd"
	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/publish"
	"multi_process_server/services/web_server/internal/sessions"
	"multi_process_server/services/web_server/internal/srs"
)

func main() {
	service.Main(service.Spec[Config]{
		Name:      "web_server",
		EnvPrefix: "WEB_",
		Default:   DefaultConfig,
		Run:       run,
	})
}

func run(ctx context.Context, p *service.Process, cfg *Config) error {
	listener, err := service.Listen("http.address", cfg.HTTP.Address)
	if err != nil {
		return err
	}
	defer listener.Close()   // the HTTP server closes it first
	host, _ := os.Hostname() // only a name in jt1078_server's log
	client := &relay.Client{Config: cfg.Relay, Name: p.Name + "@" + host, Log: p.Logger("relay"), Metrics: p.Metrics}
	if redisClient := registry.NewRedis(cfg.Redis); redisClient != nil {
		defer redisClient.Close() //nolint:errcheck // nothing is left to do about it
		client.Resolver = &registry.Directory{Redis: redisClient}
	}
	if err := client.Initialize(); err != nil {
		return err
	}
	defer client.Close()

	streams := newStreams(p, cfg, client)
	defer streams.pool.Close()
	manager := streams.manager
	if err := manager.Initialize(); err != nil {
		return err
	}
	defer manager.Close()

	callbacks := &hooks.Handler{
		Log: p.Logger("hooks"), Metrics: p.Metrics, Sessions: manager,
		PublishSecret: cfg.SRS.PublishSecret, Lease: cfg.Sessions.Lease, PlayURLs: playURLs(cfg),
	}
	if err := callbacks.Initialize(); err != nil {
		return err
	}
	player := &direct.Handler{Config: cfg.Direct, Log: p.Logger("direct"), Metrics: p.Metrics, Acquire: streams.pool.Acquire}
	if err := player.Initialize(); err != nil {
		return err
	}
	server := &httpd.Server{
		Config: cfg.HTTP, Log: p.Logger("http"), Metrics: p.Metrics, Listener: listener,
		Routes: []func(gin.IRoutes){callbacks.Register, player.Register},
	}
	if err := server.Initialize(); err != nil {
		return err
	}
	defer server.Close()

	p.Ready("relay", client.Ready)
	push := "no push to SRS"
	if cfg.SRS.Live.RTMPURL != "" {
		push = "push to " + cfg.SRS.Live.RTMPURL
	}
	p.Started("http on " + listener.Addr().String() + ", streams from " + cfg.Relay.Address + ", " + push)

	<-ctx.Done()
	// Viewers are let go first: the listener waits for its requests to end.
	manager.Close()
	streams.pool.Close()
	return nil
}

// streams is what makes, shares and holds the pipelines.
type streams struct {
	pool    *relay.Pool[*pipeline.Pipeline]
	manager *sessions.Manager
}

func newStreams(p *service.Process, cfg *Config, client *relay.Client) *streams {
	if cfg.SRS.PublishSecret == "" {
		cfg.SRS.PublishSecret = rand.Text()
	}
	pipelineMetrics, publishMetrics := pipeline.NewMetrics(p.Metrics), publish.NewMetrics(p.Metrics)
	pipelineLog, publishLog := p.Logger("stream"), p.Logger("publish")
	s := &streams{}
	s.pool = &relay.Pool[*pipeline.Pipeline]{New: func(key jt1078.Key) *pipeline.Pipeline {
		stream := &pipeline.Pipeline{
			Key: key, Config: cfg.Stream, Metrics: pipelineMetrics, Log: pipelineLog.With().Stringer("stream", key).Logger(),
			Subscribe: func(key jt1078.Key, h relay.Handler) interface{ Close() } { return client.Subscribe(key, h) },
		}
		stream.Initialize()
		return stream
	}}
	s.manager = &sessions.Manager{
		Config: cfg.Sessions, Log: p.Logger("sessions"), Metrics: p.Metrics,
		APIs: make(map[jt1078.Kind]sessions.API),
		Open: func(key jt1078.Key) sessions.Stream {
			stream, release := s.pool.Acquire(key)
			publisher := &publish.Publisher{
				Key: key, Config: cfg.SRS.Push, URL: cfg.SRS.Of(key.Kind).RTMPURL, Secret: cfg.SRS.PublishSecret,
				Log: publishLog.With().Stringer("stream", key).Logger(), Metrics: publishMetrics,
				Pipeline: stream, Release: release,
				Reconnected: func() { s.manager.Check(key.Kind) },
			}
			publisher.Initialize()
			return publisher
		},
	}
	for _, kind := range [...]jt1078.Kind{jt1078.KindLive, jt1078.KindReplay} {
		if api := cfg.SRS.Of(kind).APIURL; api != "" {
			s.manager.APIs[kind] = &srs.API{URL: api, HTTP: &http.Client{Timeout: 5 * time.Second}}
		}
	}
	return s
}

// playURLs says where a stream can be played, for whoever reached us as host.
func playURLs(cfg *Config) func(host string, key jt1078.Key) map[string]string {
	return func(host string, key jt1078.Key) map[string]string {
		urls := map[string]string{"flv": "http://" + host + "/" + key.String() + ".flv"}
		if base := strings.TrimSuffix(cfg.SRS.Of(key.Kind).PlayURL, "/"); base != "" {
			urls["srs_flv"] = base + "/" + key.ID.String() + ".flv"
			urls["srs_hls"] = base + "/" + key.ID.String() + ".m3u8"
		}
		return urls
	}
}
