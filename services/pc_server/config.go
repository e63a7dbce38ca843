package main

import (
	"multi_process_server/pkg/registry"
	"multi_process_server/pkg/relay"
	"multi_process_server/pkg/service"
	"multi_process_server/services/pc_server/internal/rtsp"
)

// Config is pc_server's configuration; config.yaml explains every key.
type Config struct {
	RTSP           rtsp.Config          `yaml:"rtsp"`
	Relay          relay.Config         `yaml:"relay"`
	Redis          registry.RedisConfig `yaml:"redis"`
	service.Common `yaml:",inline"`
}

// DefaultConfig serves on the suite's ports and takes streams from a jt1078_server on this machine.
func DefaultConfig() Config {
	return Config{
		RTSP:  rtsp.DefaultConfig(),
		Relay: relay.DefaultConfig(),
		Common: service.Common{
			Log:   service.DefaultLogConfig(),
			Admin: service.AdminConfig{Address: "127.0.0.1:9592"},
		},
	}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	if err := c.RTSP.Validate(); err != nil {
		return err
	}
	if err := c.Relay.Validate(); err != nil {
		return err
	}
	if err := c.Redis.Validate(); err != nil {
		return err
	}
	return c.Common.Validate()
}
