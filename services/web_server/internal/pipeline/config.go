package pipeline

import (
	"fmt"
	"time"
)

// Config bounds what a stream keeps.
type Config struct {
	// GOPBytes and GOPDuration cap the group of pictures that is kept for joiners.
	GOPBytes    int           `yaml:"gop_bytes"`
	GOPDuration time.Duration `yaml:"gop_duration"`
	// QueueBytes and QueueDuration cap what waits for one output; beyond it the output goes on at the next key frame.
	QueueBytes    int           `yaml:"queue_bytes"`
	QueueDuration time.Duration `yaml:"queue_duration"`
}

// DefaultConfig returns what holds without a file.
func DefaultConfig() Config {
	return Config{
		GOPBytes:      8 << 20,
		GOPDuration:   10 * time.Second,
		QueueBytes:    8 << 20,
		QueueDuration: 5 * time.Second,
	}
}

// Validate names the first key that is wrong.
func (c *Config) Validate() error {
	switch {
	case c.GOPBytes < 64<<10:
		return fmt.Errorf("stream.gop_bytes: %d is less than 65536, a large key frame", c.GOPBytes)
	case c.GOPDuration <= 0:
		return fmt.Errorf("stream.gop_duration: %v is not positive", c.GOPDuration)
	case c.QueueBytes < c.GOPBytes:
		return fmt.Errorf("stream.queue_bytes: %d is less than stream.gop_bytes, %d, which a joiner gets at once", c.QueueBytes, c.GOPBytes)
	case c.QueueDuration <= 0:
		return fmt.Errorf("stream.queue_duration: %v is not positive", c.QueueDuration)
	}
	return nil
}
