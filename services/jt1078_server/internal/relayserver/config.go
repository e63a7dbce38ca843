package relayserver

import (
	"fmt"
	"net"
	"time"
)

// Config is the `relay` section of jt1078_server's configuration.
type Config struct {
	// Address is where consumers connect, host:port. The relay has no authentication: it belongs on an internal network.
	Address string `yaml:"address"`
	// MaxSubscriptions limits the subscriptions of all consumers together.
	MaxSubscriptions int `yaml:"max_subscriptions"`
	// StopTimeout is how long subscriptions get to end when the service stops.
	StopTimeout time.Duration `yaml:"stop_timeout"`
}

// DefaultConfig listens on every interface.
func DefaultConfig() Config {
	return Config{Address: ":9511", MaxSubscriptions: 10_000, StopTimeout: 2 * time.Second}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("relay.address: %q is not host:port", c.Address)
	}
	if c.MaxSubscriptions < 1 || c.MaxSubscriptions > 1_000_000 {
		return fmt.Errorf("relay.max_subscriptions: %d is not between 1 and 1000000", c.MaxSubscriptions)
	}
	if c.StopTimeout <= 0 {
		return fmt.Errorf("relay.stop_timeout: %v is not above 0", c.StopTimeout)
	}
	return nil
}
