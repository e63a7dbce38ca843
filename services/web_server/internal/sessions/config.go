package sessions

import (
	"fmt"
	"time"
)

// Config bounds who watches and for how long nothing may be heard of them.
type Config struct {
	// Lease is how long web_on_play holds a stream until a viewer takes over.
	Lease time.Duration `yaml:"lease"`
	// Max is how many sessions there can be at a time; on_play beyond it is refused.
	Max int `yaml:"max"`
	// Linger keeps a stream after its last session, so that a reloaded page does not restart it.
	Linger time.Duration `yaml:"linger"`
	// Unconfirmed ends a session that no client list has ever confirmed, as of a callback made by hand. The callbacks
	// of an SRS whose API is not configured are believed.
	Unconfirmed time.Duration `yaml:"unconfirmed"`
	// Reconcile is the time between two looks at SRS's client list.
	Reconcile time.Duration `yaml:"reconcile"`
	// NoVideo is how long an SRS client waits without a picture before it is disconnected.
	NoVideo time.Duration `yaml:"no_video"`
	// SRSLost ends the sessions of an SRS whose API and RTMP port have both been unreachable for so long.
	SRSLost time.Duration `yaml:"srs_lost"`
}

// DefaultConfig returns what holds without a file.
func DefaultConfig() Config {
	return Config{
		Lease:       30 * time.Second,
		Max:         10000,
		Linger:      3 * time.Second,
		Unconfirmed: time.Hour,
		Reconcile:   15 * time.Second,
		NoVideo:     20 * time.Second,
		SRSLost:     time.Minute,
	}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"lease", c.Lease},
		{"unconfirmed", c.Unconfirmed},
		{"reconcile", c.Reconcile},
		{"no_video", c.NoVideo},
		{"srs_lost", c.SRSLost},
	} {
		if d.value <= 0 {
			return fmt.Errorf("sessions.%s: %v is not positive", d.key, d.value)
		}
	}
	if c.Linger < 0 {
		return fmt.Errorf("sessions.linger: %v is negative", c.Linger)
	}
	if c.Max < 1 {
		return fmt.Errorf("sessions.max: %d is less than 1", c.Max)
	}
	return nil
}
