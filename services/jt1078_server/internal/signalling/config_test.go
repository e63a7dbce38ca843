package signalling

import (
	"strings"
	"testing"
)

func TestConfigDefaults(t *testing.T) {
	config, gateway := DefaultConfig(), DefaultGatewayConfig()
	if err := config.Validate(); err != nil {
		t.Error(err)
	}
	if err := gateway.Validate(); err != nil {
		t.Error(err)
	}
	if err := (&GatewayConfig{}).Validate(); err != nil {
		t.Error("no gateway:", err)
	}
}

// Every error names its key.
func TestConfigRefused(t *testing.T) {
	for key, change := range map[string]func(*Config, *GatewayConfig){
		"signalling.mode":          func(c *Config, _ *GatewayConfig) { c.Mode = "both" },
		"signalling.queue_length":  func(c *Config, _ *GatewayConfig) { c.QueueLength = 0 },
		"signalling.queue_timeout": func(c *Config, _ *GatewayConfig) { c.QueueTimeout = 0 },
		"gateway.address":          func(_ *Config, g *GatewayConfig) { g.Address = "9503" },
		"gateway.max_connections":  func(_ *Config, g *GatewayConfig) { g.MaxConnections = 0 },
		"gateway.idle_timeout":     func(_ *Config, g *GatewayConfig) { g.IdleTimeout = -1 },
		"gateway.auth_timeout":     func(_ *Config, g *GatewayConfig) { g.AuthTimeout = 0 },
		"gateway.write_timeout":    func(_ *Config, g *GatewayConfig) { g.WriteTimeout = 0 },
		"gateway.reply_timeout":    func(_ *Config, g *GatewayConfig) { g.ReplyTimeout = 0 },
		"gateway.command_attempts": func(_ *Config, g *GatewayConfig) { g.CommandAttempts = 0 },
		"gateway.auth_secret":      func(_ *Config, g *GatewayConfig) { g.OpenRegistration = false },
	} {
		config, gateway := DefaultConfig(), DefaultGatewayConfig()
		change(&config, &gateway)
		err := config.Validate()
		if err == nil {
			err = gateway.Validate()
		}
		if err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

func TestPublicHostWarning(t *testing.T) {
	for host, says := range map[string]string{
		"":                     "not set",
		"localhost":            "on this machine",
		"127.0.0.1":            "on this machine",
		"::1":                  "on this machine",
		"0.0.0.0":              "no vehicle can dial it",
		"192.168.1.2":          "private",
		"10.0.0.1":             "private",
		"fe80::1":              "private",
		"203.0.113.7":          "",
		"2001:db8::1":          "",
		"vehicles.example.org": "",
	} {
		if got := PublicHostWarning(host); !strings.Contains(got, says) || (got == "") != (says == "") {
			t.Errorf("%q: got %q", host, got)
		}
	}
}
