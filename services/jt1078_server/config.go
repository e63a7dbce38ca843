package main

import (
	"multi_process_server/pkg/registry"
	"multi_process_server/pkg/service"
	"multi_process_server/services/jt1078_server/internal/hub"
	"multi_process_server/services/jt1078_server/internal/ingest"
	"multi_process_server/services/jt1078_server/internal/relayserver"
	"multi_process_server/services/jt1078_server/internal/signalling"
)

// Config is jt1078_server's configuration; config.yaml explains every key.
type Config struct {
	PublicHost     string                   `yaml:"public_host"`
	Ingest         ingest.Config            `yaml:"ingest"`
	Hub            hub.Config               `yaml:"hub"`
	Signalling     signalling.Config        `yaml:"signalling"`
	Gateway        signalling.GatewayConfig `yaml:"gateway"`
	Redis          registry.RedisConfig     `yaml:"redis"`
	Relay          relayserver.Config       `yaml:"relay"`
	service.Common `yaml:",inline"`
}

// DefaultConfig is one node on the suite's ports, without Redis.
func DefaultConfig() Config {
	return Config{
		Ingest:     ingest.DefaultConfig(),
		Hub:        hub.DefaultConfig(),
		Signalling: signalling.DefaultConfig(),
		Gateway:    signalling.DefaultGatewayConfig(),
		Relay:      relayserver.DefaultConfig(),
		Common: service.Common{
			Log:   service.DefaultLogConfig(),
			Admin: service.AdminConfig{Address: "127.0.0.1:9591"},
		},
	}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	for _, part := range []interface{ Validate() error }{
		&c.Ingest, &c.Hub, &c.Signalling, &c.Gateway, &c.Redis, &c.Relay, &c.Common,
	} {
		if err := part.Validate(); err != nil {
			return err
		}
	}
	return nil
}
