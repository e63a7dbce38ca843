package rtsp

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Config is the section rtsp of pc_server's configuration.
type Config struct {
	// Address of RTSP itself, and of RTP interleaved with it, by TCP.
	Address string `yaml:"address"`
	// RTPAddress and RTCPAddress are an even port and the next one, by UDP. Both empty: viewers get TCP.
	RTPAddress  string `yaml:"rtp_address"`
	RTCPAddress string `yaml:"rtcp_address"`
	// StartTimeout is how long a DESCRIBE waits for the vehicle's first key frame.
	StartTimeout time.Duration `yaml:"start_timeout"`
	// Lease is how long a DESCRIBE, or a SETUP, keeps the vehicle sending when no PLAY follows.
	Lease time.Duration `yaml:"lease"`
	// IdleTimeout ends a connection that plays nothing and asks for nothing.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// WriteTimeout ends a viewer that has stopped reading.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// MaxLag is how far behind a viewer may fall before it skips to the next key frame.
	MaxLag time.Duration `yaml:"max_lag"`
	// MaxBehind is how far behind the live picture a viewer may start, so that it can start at once: with the last key
	// frame. Where that is longer ago, the pictures since then pass in a moment.
	MaxBehind time.Duration `yaml:"max_behind"`
	// NoVideo is how long viewers are kept while no picture comes: what a pause of the vehicle and its dialling again
	// may take.
	NoVideo time.Duration `yaml:"no_video"`
	// MaxViewers counts those who play and those who are about to; the next one is answered 503.
	MaxViewers int `yaml:"max_viewers"`
	// MaxConnections by TCP; the next one is closed.
	MaxConnections int `yaml:"max_connections"`
}

// DefaultConfig listens on the suite's ports.
func DefaultConfig() Config {
	return Config{
		Address:        ":9521",
		RTPAddress:     ":9522",
		RTCPAddress:    ":9523",
		StartTimeout:   10 * time.Second,
		Lease:          10 * time.Second,
		IdleTimeout:    60 * time.Second,
		WriteTimeout:   10 * time.Second,
		MaxLag:         4 * time.Second,
		MaxBehind:      2 * time.Second,
		NoVideo:        60 * time.Second,
		MaxViewers:     1000,
		MaxConnections: 2000,
	}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	if _, err := port(c.Address); err != nil {
		return fmt.Errorf("rtsp.address: %w", err)
	}
	if (c.RTPAddress == "") != (c.RTCPAddress == "") {
		return errors.New("rtsp.rtp_address and rtsp.rtcp_address: set both, or leave both empty for no UDP")
	}
	if c.RTPAddress != "" {
		rtp, err := port(c.RTPAddress)
		if err != nil {
			return fmt.Errorf("rtsp.rtp_address: %w", err)
		}
		rtcp, err := port(c.RTCPAddress)
		if err != nil {
			return fmt.Errorf("rtsp.rtcp_address: %w", err)
		}
		if rtp == 0 || rtp%2 != 0 {
			return fmt.Errorf("rtsp.rtp_address: port %d is not even; RTP takes an even port and RTCP the next one", rtp)
		}
		if rtcp != rtp+1 {
			return fmt.Errorf("rtsp.rtcp_address: port %d is not %d, the one after rtsp.rtp_address", rtcp, rtp+1)
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"start_timeout", c.StartTimeout},
		{"lease", c.Lease},
		{"idle_timeout", c.IdleTimeout},
		{"write_timeout", c.WriteTimeout},
		{"max_lag", c.MaxLag},
		{"no_video", c.NoVideo},
	} {
		if d.value < 100*time.Millisecond {
			return fmt.Errorf("rtsp.%s: %s is less than 100ms", d.key, d.value)
		}
	}
	if c.MaxBehind < 0 {
		return fmt.Errorf("rtsp.max_behind: %s is less than 0s", c.MaxBehind)
	}
	if c.MaxViewers < 1 {
		return fmt.Errorf("rtsp.max_viewers: %d is not 1 or more", c.MaxViewers)
	}
	if c.MaxConnections < 1 {
		return fmt.Errorf("rtsp.max_connections: %d is not 1 or more", c.MaxConnections)
	}
	return nil
}

func port(address string) (int, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, fmt.Errorf("%q is not host:port", address)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q: the port is not a number from 0 to 65535", address)
	}
	return int(number), nil
}
