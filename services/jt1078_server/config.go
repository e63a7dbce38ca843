package main

import (
	"fmt"
	"net"

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
	Node           NodeConfig               `yaml:"node"`
	service.Common `yaml:",inline"`
}

// NodeConfig is how this server announces itself where several share a Redis.
type NodeConfig struct {
	// Name is unique and stays the same over a restart; empty is the host's name.
	Name string `yaml:"name"`
	// RelayAddress is host:port where consumers reach this server's relay; empty announces nothing.
	RelayAddress string `yaml:"relay_address"`
}

// Validate names the first key that is wrong.
func (c *NodeConfig) Validate() error {
	if c.RelayAddress == "" {
		return nil
	}
	if host, _, err := net.SplitHostPort(c.RelayAddress); err != nil || host == "" {
		return fmt.Errorf("node.relay_address: %q is not host:port as consumers reach it", c.RelayAddress)
	}
	return nil
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
		&c.Ingest, &c.Hub, &c.Signalling, &c.Gateway, &c.Redis, &c.Relay, &c.Node, &c.Common,
	} {
		if err := part.Validate(); err != nil {
			return err
		}
	}
	if c.Node.RelayAddress != "" && c.Redis.Addr == "" {
		return fmt.Errorf("node.relay_address: %q is announced in Redis, and redis.addr is empty", c.Node.RelayAddress)
	}
	return nil
}
