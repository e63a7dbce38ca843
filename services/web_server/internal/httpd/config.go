package httpd

import (
	"fmt"
	"net"
	"net/url"
)

// Config is the `http` section.
type Config struct {
	// Address of SRS's callbacks, play requests and direct playback.
	Address string `yaml:"address"`
	// MaxConnections is how many there can be at a time; those beyond it are closed.
	MaxConnections int `yaml:"max_connections"`
	// CORSOrigins are the origins whose pages may play from here: "*" is any, an empty list none but our own.
	CORSOrigins []string `yaml:"cors_origins"`
}

// DefaultConfig returns what holds without a file.
func DefaultConfig() Config {
	return Config{Address: ":9531", MaxConnections: 20000, CORSOrigins: []string{"*"}}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("http.address: %q is not host:port", c.Address)
	}
	if c.MaxConnections < 1 {
		return fmt.Errorf("http.max_connections: %d is less than 1", c.MaxConnections)
	}
	for _, origin := range c.CORSOrigins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "") {
			return fmt.Errorf(`http.cors_origins: %q is neither "*" nor scheme://host[:port]`, origin)
		}
	}
	return nil
}
