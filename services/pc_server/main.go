// Command pc_server serves vehicles' video to RTSP players: VLC, Qt clients, NVRs. It takes a stream from
// jt1078_server while somebody watches it.
package main

import (
	"context"
	"os"

	"multi_process_server/pkg/registry"
	"multi_process_server/pkg/relay"
	"multi_process_server/pkg/service"
	"multi_process_server/services/pc_server/internal/rtsp"
)

func main() {
	service.Main(service.Spec[Config]{
		Name:      "pc_server",
		EnvPrefix: "PC_",
		Default:   DefaultConfig,
		Run:       run,
	})
}

func run(ctx context.Context, p *service.Process, cfg *Config) error {
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
	server := &rtsp.Server{Config: cfg.RTSP, Relay: client, Log: p.Logger("rtsp"), Metrics: p.Metrics}
	if err := server.Initialize(); err != nil {
		return err
	}
	defer server.Close()

	p.Ready("relay", client.Ready)
	udp := "no UDP"
	if cfg.RTSP.RTPAddress != "" {
		udp = "RTP and RTCP by UDP on " + cfg.RTSP.RTPAddress + " and " + cfg.RTSP.RTCPAddress
	}
	p.Started("rtsp on " + cfg.RTSP.Address + " (/live/<id>, /replay/<id>), " + udp + ", streams from " + cfg.Relay.Address)

	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	select {
	case <-ctx.Done():
		server.Close()
		return <-ended
	case err := <-ended:
		return err
	}
}
