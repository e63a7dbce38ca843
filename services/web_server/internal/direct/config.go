package direct

import (
	"fmt"
	"time"
)

// Config bounds direct playback.
type Config struct {
	// MaxViewers is how many there can be at a time.
	MaxViewers int `yaml:"max_viewers"`
	// FirstPicture is how long a viewer waits for the vehicle before it is told that nothing came.
	FirstPicture time.Duration `yaml:"first_picture"`
	// NoVideo ends a viewer to whom no picture has come for so long. It should last through a vehicle's pause or new
	// connection.
	NoVideo time.Duration `yaml:"no_video"`
	// WriteTimeout ends a viewer that takes nothing.
	WriteTimeout time.Duration `yaml:"write_timeout"`
}

// DefaultConfig returns what holds without a file.
func DefaultConfig() Config {
	return Config{MaxViewers: 2000, FirstPicture: 15 * time.Second, NoVideo: time.Minute, WriteTimeout: 10 * time.Second}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	switch {
	case c.MaxViewers < 1:
		return fmt.Errorf("direct.max_viewers: %d is less than 1", c.MaxViewers)
	case c.FirstPicture <= 0:
		return fmt.Errorf("direct.first_picture: %v is not positive", c.FirstPicture)
	case c.NoVideo <= 0:
		return fmt.Errorf("direct.no_video: %v is not positive", c.NoVideo)
	case c.WriteTimeout <= 0:
		return fmt.Errorf("direct.write_timeout: %v is not positive", c.WriteTimeout)
	}
	return nil
}
