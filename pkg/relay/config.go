package relay

import (
	"fmt"
	"net"
)

// Config is the `relay` section of a consumer's configuration.
type Config struct {
	// Address is the host:port of jt1078_server's relay. It is not used where a Resolver tells each stream's node.
	Address string `yaml:"address"`
	// MaxFrameBytes limits what is accepted as one frame; a longer one ends the subscription, which is then made anew.
	// It must be above jt1078_server's own limit for a frame.
	MaxFrameBytes int `yaml:"max_frame_bytes"`
	// StreamWindowBytes is how much of a stream may be under way to a consumer that has fallen behind, before
	// jt1078_server sees it and drops: as much old picture as such a consumer is behind.
	StreamWindowBytes int `yaml:"stream_window_bytes"`
}

// DefaultConfig is jt1078_server on this machine.
func DefaultConfig() Config {
	return Config{
		Address:           "127.0.0.1:9511",
		MaxFrameBytes:     8 << 20,
		StreamWindowBytes: 128 << 10,
	}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("relay.address: %q is not host:port", c.Address)
	}
	if c.MaxFrameBytes < 64<<10 || c.MaxFrameBytes > 256<<20 {
		return fmt.Errorf("relay.max_frame_bytes: %d is not between 64 KiB and 256 MiB", c.MaxFrameBytes)
	}
	if c.StreamWindowBytes < minWindow || c.StreamWindowBytes > maxWindow {
		return fmt.Errorf("relay.stream_window_bytes: %d is not between %d and %d", c.StreamWindowBytes, minWindow, maxWindow)
	}
	return nil
}

const (
	minWindow = 65535 // HTTP/2's own; gRPC ignores less
	maxWindow = 16 << 20
)
