package publish

import (
	"fmt"
	"time"
)

// Config is how patient the push to SRS is.
type Config struct {
	// DialTimeout bounds a connection's way up to SRS's consent to publish.
	DialTimeout time.Duration `yaml:"dial_timeout"`
	// WriteTimeout ends a connection whose other side takes nothing.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// RetryMax caps the wait between two tries; the first is a tenth of a second and it doubles.
	RetryMax time.Duration `yaml:"retry_max"`
}

// DefaultConfig returns what holds without a file.
func DefaultConfig() Config {
	return Config{DialTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, RetryMax: 2 * time.Second}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"dial_timeout", c.DialTimeout}, {"write_timeout", c.WriteTimeout}, {"retry_max", c.RetryMax}} {
		if d.value <= 0 {
			return fmt.Errorf("srs.push.%s: %v is not positive", d.key, d.value)
		}
	}
	return nil
}
