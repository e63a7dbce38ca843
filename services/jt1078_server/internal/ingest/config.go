package ingest

import (
	"fmt"
	"net"
	"time"
)

// Accept is whose media are taken.
type Accept string

// Whose media are taken.
const (
	// AcceptAny takes those of every vehicle that dials.
	AcceptAny Accept = "any"
	// AcceptKnown takes those of vehicles that are connected for signalling, and of streams that somebody waits for.
	AcceptKnown Accept = "known"
)

// Config is the section `ingest` of the configuration. Sizes are in bytes.
type Config struct {
	// LiveAddress and ReplayAddress are where vehicles dial with live pictures and with playback; only the port tells
	// the two apart.
	LiveAddress   string `yaml:"live_address"`
	ReplayAddress string `yaml:"replay_address"`
	Accept        Accept `yaml:"accept"`

	// IdleTimeout ends a connection that has brought no whole frame for so long.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// MaxConnections of both ports together.
	MaxConnections int `yaml:"max_connections"`
	// MaxChannels of one connection.
	MaxChannels int `yaml:"max_channels"`
	// NewChannelsPerSecond is how many channels may begin each second, of all connections together, in the long run;
	// NewChannelsBurst how many at once, as when all vehicles dial again after a restart.
	NewChannelsPerSecond int `yaml:"new_channels_per_second"`
	NewChannelsBurst     int `yaml:"new_channels_burst"`
	// MaxGarbage is how much between two packets may be no packet at all.
	MaxGarbage int `yaml:"max_garbage"`
	// MaxFrame caps a frame, and twice as much caps all unfinished frames of a connection together. ReadBuffer is what
	// one read of a connection may bring.
	MaxFrame   int `yaml:"max_frame"`
	ReadBuffer int `yaml:"read_buffer"`
}

// DefaultConfig is what holds where the configuration says nothing.
func DefaultConfig() Config {
	return Config{
		LiveAddress:          ":9501",
		ReplayAddress:        ":9502",
		Accept:               AcceptAny,
		IdleTimeout:          30 * time.Second,
		MaxConnections:       4000,
		MaxChannels:          64,
		NewChannelsPerSecond: 200,
		NewChannelsBurst:     2000,
		MaxGarbage:           256 << 10,
		MaxFrame:             4 << 20,
		ReadBuffer:           16 << 10,
	}
}

// Validate names the first key that cannot be used.
func (c *Config) Validate() error {
	for _, a := range []struct{ key, value string }{
		{"live_address", c.LiveAddress},
		{"replay_address", c.ReplayAddress},
	} {
		if _, _, err := net.SplitHostPort(a.value); err != nil {
			return fmt.Errorf("ingest.%s: %q is not host:port", a.key, a.value)
		}
	}
	if c.Accept != AcceptAny && c.Accept != AcceptKnown {
		return fmt.Errorf("ingest.accept: %q, want any or known", c.Accept)
	}
	if c.IdleTimeout <= 0 {
		return fmt.Errorf("ingest.idle_timeout: %v, want more than 0", c.IdleTimeout)
	}
	for _, n := range []struct {
		key             string
		value, min, max int
	}{
		{"max_connections", c.MaxConnections, 1, 1 << 20},
		{"max_channels", c.MaxChannels, 1, 1024},
		{"new_channels_per_second", c.NewChannelsPerSecond, 1, 1 << 20},
		{"new_channels_burst", c.NewChannelsBurst, 1, 1 << 20},
		{"max_garbage", c.MaxGarbage, 1 << 10, 1 << 30},
		{"max_frame", c.MaxFrame, 64 << 10, 8 << 20},
		{"read_buffer", c.ReadBuffer, 4 << 10, 1 << 20},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("ingest.%s: %d, want %d to %d", n.key, n.value, n.min, n.max)
		}
	}
	return nil
}
