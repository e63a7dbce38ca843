// Command jt1078_server takes vehicles' media in, and gives each stream to those who subscribe to it. It tells vehicles to send while somebody
// watches, through its own JT/T 808 gateway or through Redis.
package main

import (
	"context"
	"net"
	"os"
	"strconv"

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

// run starts from the viewers' end, so that whatever a vehicle sends has where to go, and stops from the vehicles'.
func run(ctx context.Context, p *service.Process, cfg *Config) error {
	if warning := signalling.PublicHostWarning(cfg.PublicHost); warning != "" && cfg.Signalling.Mode != signalling.ModeOff {
		log := p.Logger("main")
		log.Warn().Msg(warning)
	}
	client := registry.NewRedis(cfg.Redis) // nil without Redis
	if client != nil {
		defer client.Close()
	}

	var gateway *signalling.Gateway
	if cfg.Gateway.Address != "" {
		gateway = &signalling.Gateway{Config: cfg.Gateway, Log: p.Logger("gateway"), Metrics: p.Metrics}
		if err := gateway.Initialize(); err != nil {
			return err
		}
		defer gateway.Close()
	}
	commander, err := newCommander(p, cfg, gateway, client)
	if err != nil {
		return err
	}

	streams := &hub.Hub{Config: cfg.Hub, Log: p.Logger("hub"), Metrics: p.Metrics}
	if cfg.Signalling.Mode != signalling.ModeOff {
		streams.Commander = commander
	}
	if err := streams.Initialize(); err != nil {
		return err
	}
	defer streams.Close()

	relay := &relayserver.Server{
		Config:    cfg.Relay,
		Subscribe: func(key jt1078.Key, name string) (relayserver.Subscriber, error) { return streams.Subscribe(key, name) },
		Log:       p.Logger("relay"),
		Metrics:   p.Metrics,
	}
	if err := relay.Initialize(); err != nil {
		return err
	}
	defer relay.Close()

	media := &ingest.Server{Config: cfg.Ingest, Hub: streams, Log: p.Logger("ingest"), Metrics: p.Metrics}
	if gateway != nil {
		media.Known = gateway.Online
	}
	if err := media.Initialize(); err != nil {
		return err
	}
	defer media.Close()

	if cfg.Node.RelayAddress != "" {
		node := registry.Node{Name: cfg.Node.Name, PublicHost: cfg.PublicHost, RelayAddress: cfg.Node.RelayAddress}
		if node.Name == "" {
			if node.Name, err = os.Hostname(); err != nil {
				return err
			}
		}
		announcer := &registry.Announcer{Redis: client, Node: node, Streams: streams.Streams, Log: p.Logger("registry"), Metrics: p.Metrics}
		if err := announcer.Initialize(); err != nil {
			return err
		}
		defer announcer.Close()
		p.Ready("registry", announcer.Ready)
	}

	p.Ready("relay", relay.Ready)
	p.Ready("signalling", commander.Ready)
	p.Started(summary(cfg))
	<-ctx.Done()
	return nil
}

func newCommander(p *service.Process, cfg *Config, gateway *signalling.Gateway, client *redis.Client) (*signalling.Commander, error) {
	_, port, err := net.SplitHostPort(cfg.Ingest.LiveAddress)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	commander := &signalling.Commander{
		Config:  cfg.Signalling,
		Gateway: gateway,
		Live:    signalling.Endpoint{Host: cfg.PublicHost, Port: uint16(number)},
		Log:     p.Logger("signalling"),
		Metrics: p.Metrics,
	}
	if client != nil {
		commander.Queue = &signalling.Queue{Client: client, Length: cfg.Signalling.QueueLength, Timeout: cfg.Signalling.QueueTimeout}
	}
	return commander, commander.Initialize()
}

// summary says what listens where.
func summary(cfg *Config) string {
	text := "live media on " + cfg.Ingest.LiveAddress + ", playback on " + cfg.Ingest.ReplayAddress
	if cfg.Gateway.Address != "" {
		text += ", JT/T 808 on " + cfg.Gateway.Address
	}
	text += ", relay on " + cfg.Relay.Address + ", commands by " + string(cfg.Signalling.Mode)
	if cfg.Redis.Addr != "" {
		text += ", Redis at " + cfg.Redis.Addr
	}
	return text
}
