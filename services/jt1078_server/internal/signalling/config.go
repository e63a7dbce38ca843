package signalling

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Mode is which road commands take.
type Mode string

// Modes.
const (
	ModeAuto    Mode = "auto"    // the gateway where the vehicle is connected to it, else Redis where configured
	ModeBuiltin Mode = "builtin" // the gateway alone
	ModeRedis   Mode = "redis"   // Redis alone
	ModeOff     Mode = "off"     // nobody is told; vehicles dial because somebody else tells them
)

// Config is the configuration's section `signalling`.
type Config struct {
	Mode Mode `yaml:"mode"`
	// QueueLength is how many commands may wait in Redis before no start is added: nobody takes them. Stops are added up
	// to twice as many.
	QueueLength int `yaml:"queue_length"`
	// QueueTimeout is how long one command to Redis may take.
	QueueTimeout time.Duration `yaml:"queue_timeout"`
}

// DefaultConfig is what holds where the configuration says nothing.
func DefaultConfig() Config {
	return Config{Mode: ModeAuto, QueueLength: 1000, QueueTimeout: 2 * time.Second}
}

// Validate names the first key that cannot be used.
func (c *Config) Validate() error {
	switch c.Mode {
	case ModeAuto, ModeBuiltin, ModeRedis, ModeOff:
	default:
		return fmt.Errorf("signalling.mode: %q, want auto, builtin, redis or off", c.Mode)
	}
	if c.QueueLength < 1 {
		return fmt.Errorf("signalling.queue_length: %d, want at least 1", c.QueueLength)
	}
	if c.QueueTimeout <= 0 {
		return fmt.Errorf("signalling.queue_timeout: %v, want more than 0", c.QueueTimeout)
	}
	return nil
}

// GatewayConfig is the configuration's section `gateway`.
type GatewayConfig struct {
	// Address is where vehicles connect; empty is no gateway.
	Address string `yaml:"address"`
	// MaxConnections bounds the vehicles, and with them memory and descriptors.
	MaxConnections int `yaml:"max_connections"`
	// IdleTimeout ends a vehicle's connection that has brought no message for so long. Vehicles send heartbeats.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// AuthTimeout is how long a connection may take until it has authenticated.
	AuthTimeout time.Duration `yaml:"auth_timeout"`
	// WriteTimeout ends the connection of a vehicle that does not take what is sent to it.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// ReplyTimeout is how long each attempt of a command waits for the vehicle's reply.
	ReplyTimeout time.Duration `yaml:"reply_timeout"`
	// CommandAttempts is how often a command is sent before it has failed.
	CommandAttempts int `yaml:"command_attempts"`
	// OpenRegistration lets any vehicle register. Without it, only vehicles that know their code may come in.
	OpenRegistration bool `yaml:"open_registration"`
	// AuthSecret is what a vehicle's authentication code is made from, see AuthCode. It must be the same on all nodes.
	// Empty, any code is accepted, so that vehicles can come with one of another platform.
	AuthSecret string `yaml:"auth_secret"`
}

// DefaultGatewayConfig is what holds where the configuration says nothing.
func DefaultGatewayConfig() GatewayConfig {
	return GatewayConfig{
		Address:          ":9503",
		MaxConnections:   16000,
		IdleTimeout:      5 * time.Minute,
		AuthTimeout:      30 * time.Second,
		WriteTimeout:     5 * time.Second,
		ReplyTimeout:     2 * time.Second,
		CommandAttempts:  2,
		OpenRegistration: true,
	}
}

// Validate names the first key that cannot be used.
func (c *GatewayConfig) Validate() error {
	if c.Address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("gateway.address: %q is not host:port", c.Address)
	}
	if c.MaxConnections < 1 {
		return fmt.Errorf("gateway.max_connections: %d, want at least 1", c.MaxConnections)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"idle_timeout", c.IdleTimeout},
		{"auth_timeout", c.AuthTimeout},
		{"write_timeout", c.WriteTimeout},
		{"reply_timeout", c.ReplyTimeout},
	} {
		if d.value <= 0 {
			return fmt.Errorf("gateway.%s: %v, want more than 0", d.key, d.value)
		}
	}
	if c.CommandAttempts < 1 {
		return fmt.Errorf("gateway.command_attempts: %d, want at least 1", c.CommandAttempts)
	}
	if !c.OpenRegistration && c.AuthSecret == "" {
		return errors.New("gateway.auth_secret: it is empty and gateway.open_registration is false, so no vehicle could come in")
	}
	return nil
}

// PublicHostWarning says why vehicles may be unable to dial host, the setting public_host; empty when all is well.
func PublicHostWarning(host string) string {
	if host == "" {
		return "public_host is not set: vehicles are told to dial the address that they reached the gateway by, " +
			"and an outside JT/T 808 server cannot be told anything; set it to this server's public address"
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil && host != "localhost":
		return "" // a name: it is for the vehicle to resolve
	case err != nil || ip.IsLoopback():
		return fmt.Sprintf("public_host is %s: only vehicles on this machine can dial it", host)
	case ip.IsUnspecified():
		return fmt.Sprintf("public_host is %s: no vehicle can dial it; set it to this server's public address", host)
	case ip.IsPrivate() || ip.IsLinkLocalUnicast():
		return fmt.Sprintf("public_host is %s, a private address: vehicles in a mobile network cannot dial it", host)
	}
	return ""
}
