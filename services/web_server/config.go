package main

import (
	"multi_process_server/pkg/registry"
	"multi_process_server/pkg/relay"
	"multi_process_server/pkg/service"
	"multi_process_server/services/web_server/internal/direct"
	"multi_process_server/services/web_server/internal/httpd"
	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/publish"
	"multi_process_server/services/web_server/internal/sessions"
)

// Config is web_server's configuration; config.yaml explains every key.
type Config struct {
	HTTP           httpd.Config         `yaml:"http"`
	Relay          relay.Config         `yaml:"relay"`
	Redis          registry.RedisConfig `yaml:"redis"`
	SRS            publish.Targets      `yaml:"srs"`
	Sessions       sessions.Config      `yaml:"sessions"`
	Stream         pipeline.Config      `yaml:"stream"`
	Direct         direct.Config        `yaml:"direct"`
	service.Common `yaml:",inline"`
}

// DefaultConfig serves on the suite's ports, takes streams from a jt1078_server on this machine, and pushes to SRS
// where somebody asks for a stream there.
func DefaultConfig() Config {
	return Config{
		HTTP:     httpd.DefaultConfig(),
		Relay:    relay.DefaultConfig(),
		SRS:      publish.DefaultTargets(),
		Sessions: sessions.DefaultConfig(),
		Stream:   pipeline.DefaultConfig(),
		Direct:   direct.DefaultConfig(),
		Common: service.Common{
			Log:   service.DefaultLogConfig(),
			Admin: service.AdminConfig{Address: "127.0.0.1:9593"},
		},
	}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	for _, section := range []interface{ Validate() error }{
		&c.HTTP, &c.Relay, &c.Redis, &c.SRS, &c.Sessions, &c.Stream, &c.Direct, &c.Common,
	} {
		if err := section.Validate(); err != nil {
			return err
		}
	}
	return nil
}
