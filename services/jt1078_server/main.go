// Command jt1078_server takes vehicles' media (JT/T 1078, ports 9501 and 9502), tells vehicles by JT/T 808 (9503, or a
// Redis queue) to send while somebody watches, and gives the streams to pc_server and web_server (relay, 9511).
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/registry"
	"multi_process_server/pkg/service"
	"multi_process_server/services/jt1078_server/internal/hub"
	"multi_process_server/services/jt1078_server/internal/ingest"
	"multi_process_server/services/jt1078_server/internal/relayserver"
	"multi_process_server/services/jt1078_server/internal/signalling"
)

func main() {
	service.Main(service.Spec[Config]{
		Name:      "jt1078_server",
		EnvPrefix: "JT1078_",
		Default:   DefaultConfig,
		Run:       run,
	})
}

// run starts everything from the vehicles' signalling to the viewers' relay, and stops it in the other direction: the
// viewers are let go, the vehicles are told to stop, then their connections end.
func run(ctx context.Context, p *service.Process, cfg *Config) error {
	warnOfPublicHost(p, cfg)
	redisClient := registry.NewRedis(cfg.Redis)
	if redisClient != nil {
		defer redisClient.Close() //nolint:errcheck // nothing is left to do about it
	}
	var gateway *signalling.Gateway
	if cfg.Gateway.Address != "" {
		gateway = &signalling.Gateway{Config: cfg.Gateway, Log: p.Logger("gateway"), Metrics: p.Metrics}
		if err := gateway.Initialize(); err != nil {
			return err
		}
		defer gateway.Close()
	}
	streams := &hub.Hub{Config: cfg.Hub, Log: p.Logger("hub"), Metrics: p.Metrics}
	commander, err := newCommander(p, cfg, gateway, redisClient)
	if err != nil {
		return err
	}
	if commander != nil {
		streams.Commander = commander
		p.Ready("signalling", commander.Ready)
	}
	if err := streams.Initialize(); err != nil {
		return err
	}
	defer streams.Close()

	media := &ingest.Server{Config: cfg.Ingest, Hub: streams, Log: p.Logger("ingest"), Metrics: p.Metrics}
	if gateway != nil {
		media.Known = gateway.Online
	}
	if err := media.Initialize(); err != nil {
		return err
	}
	defer media.Close()

	relay := &relayserver.Server{
		Config: cfg.Relay, Log: p.Logger("relay"), Metrics: p.Metrics,
		Subscribe: func(key jt1078.Key, name string) (relayserver.Subscriber, error) {
			subscriber, err := streams.Subscribe(key, name)
			if err != nil {
				return nil, err // not a *hub.Subscriber that is nil
			}
			return subscriber, nil
		},
	}
	if err := relay.Initialize(); err != nil {
		return err
	}
	defer relay.Close()
	if cfg.Node.RelayAddress != "" {
		announcer, err := announce(p, cfg, streams, redisClient)
		if err != nil {
			return err
		}
		defer announcer.Close()
	}

	p.Ready("relay", relay.Ready)
	p.Started(summary(cfg, media, gateway, relay))
	<-ctx.Done()
	streams.Close() // subscribers are told that the node stops before the relay's connections end
	return nil
}

// announce keeps this node in the registry.
func announce(p *service.Process, cfg *Config, streams *hub.Hub, redisClient *redis.Client) (*registry.Announcer, error) {
	node := registry.Node{Name: cfg.Node.Name, PublicHost: cfg.PublicHost, RelayAddress: cfg.Node.RelayAddress}
	if node.Name == "" {
		var err error
		if node.Name, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("node.name is empty and the host has no name: %w", err)
		}
	}
	announcer := &registry.Announcer{
		Redis: redisClient, Node: node, Streams: streams.Streams, Log: p.Logger("registry"), Metrics: p.Metrics,
	}
	if err := announcer.Initialize(); err != nil {
		return nil, err
	}
	p.Ready("registry", announcer.Ready)
	return announcer, nil
}

// newCommander returns nil where no vehicle can be told anything: then the hub waits for those that dial.
func newCommander(p *service.Process, cfg *Config, gateway *signalling.Gateway, redisClient *redis.Client) (*signalling.Commander, error) {
	if !cfg.commands() {
		return nil, nil
	}
	port, err := cfg.livePort()
	if err != nil {
		return nil, err
	}
	commander := &signalling.Commander{
		Mode:    cfg.Signalling.Mode,
		Gateway: gateway,
		Live:    signalling.Endpoint{Host: cfg.PublicHost, Port: port},
		Log:     p.Logger("signalling"),
		Metrics: p.Metrics,
	}
	if redisClient != nil {
		commander.Queue = &signalling.Queue{Client: redisClient, Length: cfg.Signalling.QueueLength, Timeout: cfg.Signalling.QueueTimeout}
	}
	commander.Initialize()
	return commander, nil
}

func warnOfPublicHost(p *service.Process, cfg *Config) {
	if !cfg.commands() {
		return
	}
	if warning := signalling.PublicHostWarning(cfg.PublicHost); warning != "" {
		log := p.Logger("main")
		log.Warn().Msg(warning)
	}
}

// summary says what listens where.
func summary(cfg *Config, media *ingest.Server, gateway *signalling.Gateway, relay *relayserver.Server) string {
	text := fmt.Sprintf("vehicles' media on %s (live) and %s (replay), ", media.Addr(jt1078.KindLive), media.Addr(jt1078.KindReplay))
	if gateway != nil {
		text += fmt.Sprintf("their signalling on %s, ", gateway.Addr())
	}
	text += fmt.Sprintf("relay on %s; commands: %s", relay.Addr(), cfg.Signalling.Mode)
	if cfg.Redis.Addr != "" {
		text += ", Redis " + cfg.Redis.Addr
	}
	return text
}
