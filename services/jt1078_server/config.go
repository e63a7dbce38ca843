package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"

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
	switch mode := c.Signalling.Mode; {
	case mode == signalling.ModeBuiltin && c.Gateway.Address == "":
		return errors.New("gateway.address: it is empty, and signalling.mode is builtin: set one of them differently")
	case mode == signalling.ModeRedis && c.Redis.Addr == "":
		return errors.New("redis.addr: it is empty, and signalling.mode is redis: set one of them differently")
	case mode == signalling.ModeRedis && c.PublicHost == "":
		return errors.New("public_host: it is empty, and signalling.mode is redis: an outside JT/T 808 server must be told where vehicles shall dial")
	}
	if !c.commands() {
		return nil
	}
	_, err := c.livePort()
	return err
}

// commands reports whether vehicles can be told anything: otherwise the hub waits for those that dial.
func (c *Config) commands() bool {
	switch c.Signalling.Mode {
	case signalling.ModeOff:
		return false
	case signalling.ModeAuto:
		return c.Gateway.Address != "" || c.Redis.Addr != ""
	}
	return true
}

// livePort is the port that vehicles are told to dial.
func (c *Config) livePort() (uint16, error) {
	_, text, err := net.SplitHostPort(c.Ingest.LiveAddress)
	if err != nil {
		return 0, fmt.Errorf("ingest.live_address: %w", err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("ingest.live_address: port %q is not a number from 1 to 65535, as vehicles must be told", text)
	}
	return uint16(port), nil
}
