package hub

import (
	"fmt"
	"time"
)

// Config is the key "hub" of the configuration. Sizes are in bytes.
type Config struct {
	// Substream is asked of vehicles: "main" or "sub".
	Substream Substream `yaml:"substream"`

	// Grace is how long a stream goes on after its last subscriber has left.
	Grace time.Duration `yaml:"grace"`
	// StopTimeout is how long a vehicle may take to close its connection when it was told to stop.
	StopTimeout time.Duration `yaml:"stop_timeout"`
	// UnwantedTimeout is how long after our stop a vehicle that dials again, with nobody watching, is turned away.
	UnwantedTimeout time.Duration `yaml:"unwanted_timeout"`
	// RetryAfter is how long a stream whose start has failed is left alone.
	RetryAfter time.Duration `yaml:"retry_after"`
	// TakeOverAfter is the silence after which any new connection may take a stream over.
	TakeOverAfter time.Duration `yaml:"take_over_after"`
	Start         StartConfig   `yaml:"start"`

	// GOPMaxBytes and GOPMaxDuration cap what is kept of a stream for those who join it.
	GOPMaxBytes    int           `yaml:"gop_max_bytes"`
	GOPMaxDuration time.Duration `yaml:"gop_max_duration"`
	// GOPTotalBytes is how much memory the frames of all streams, cached and queued, may take; beyond it groups are let
	// go as the next frame comes to them, and whoever joins waits for a key frame.
	GOPTotalBytes int64 `yaml:"gop_total_bytes"`

	// QueueMaxFrames, QueueMaxBytes and QueueMaxAge bound what waits for one slow subscriber.
	QueueMaxFrames int           `yaml:"queue_max_frames"`
	QueueMaxBytes  int           `yaml:"queue_max_bytes"`
	QueueMaxAge    time.Duration `yaml:"queue_max_age"`

	// MaxStreams of the server; three quarters of them can begin with a subscriber's wish. MaxSubscribers of a stream.
	MaxStreams     int `yaml:"max_streams"`
	MaxSubscribers int `yaml:"max_subscribers"`
}

// StartConfig is how long each stage of a start may take, counted from the one before.
type StartConfig struct {
	// Command is for getting the command to the vehicle; a vehicle that is not connected is tried again that long.
	Command time.Duration `yaml:"command"`
	// Acknowledge is for the vehicle's reply.
	Acknowledge time.Duration `yaml:"acknowledge"`
	// Connect is for the vehicle to dial the media port.
	Connect time.Duration `yaml:"connect"`
	// ConnectUncommanded is for the same where this server tells no vehicle anything.
	ConnectUncommanded time.Duration `yaml:"connect_uncommanded"`
	// FirstPacket is for a first frame, of any kind.
	FirstPacket time.Duration `yaml:"first_packet"`
	// KeyFrame is for a picture to start from.
	KeyFrame time.Duration `yaml:"key_frame"`
}

// DefaultConfig is what holds where the configuration says nothing.
func DefaultConfig() Config {
	return Config{
		Substream:       SubstreamSub,
		Grace:           5 * time.Second,
		StopTimeout:     3 * time.Second,
		UnwantedTimeout: time.Minute,
		RetryAfter:      5 * time.Second,
		TakeOverAfter:   2 * time.Second,
		Start: StartConfig{
			Command:            5 * time.Second,
			Acknowledge:        5 * time.Second,
			Connect:            8 * time.Second,
			ConnectUncommanded: 30 * time.Second,
			FirstPacket:        5 * time.Second,
			KeyFrame:           10 * time.Second,
		},
		GOPMaxBytes:    4 << 20,
		GOPMaxDuration: 10 * time.Second,
		GOPTotalBytes:  1 << 30,
		QueueMaxFrames: 2048,
		QueueMaxBytes:  8 << 20,
		QueueMaxAge:    5 * time.Second,
		MaxStreams:     4000,
		MaxSubscribers: 64,
	}
}

// Validate names the first key that cannot be used.
func (c *Config) Validate() error {
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"stop_timeout", c.StopTimeout},
		{"retry_after", c.RetryAfter},
		{"take_over_after", c.TakeOverAfter},
		{"start.command", c.Start.Command},
		{"start.acknowledge", c.Start.Acknowledge},
		{"start.connect", c.Start.Connect},
		{"start.connect_uncommanded", c.Start.ConnectUncommanded},
		{"start.first_packet", c.Start.FirstPacket},
		{"start.key_frame", c.Start.KeyFrame},
		{"gop_max_duration", c.GOPMaxDuration},
		{"queue_max_age", c.QueueMaxAge},
	} {
		if d.value <= 0 {
			return fmt.Errorf("hub.%s: %v, want more than 0", d.key, d.value)
		}
	}
	if c.Grace < 0 {
		return fmt.Errorf("hub.grace: %v, want 0 or more", c.Grace)
	}
	if c.UnwantedTimeout < 0 {
		return fmt.Errorf("hub.unwanted_timeout: %v, want 0 or more", c.UnwantedTimeout)
	}
	for _, n := range []struct {
		key        string
		value, min int
	}{
		{"gop_max_bytes", c.GOPMaxBytes, 0},
		{"queue_max_frames", c.QueueMaxFrames, 64},
		{"queue_max_bytes", c.QueueMaxBytes, 64 << 10},
		{"max_streams", c.MaxStreams, 1},
		{"max_subscribers", c.MaxSubscribers, 1},
	} {
		if n.value < n.min {
			return fmt.Errorf("hub.%s: %d, want at least %d", n.key, n.value, n.min)
		}
	}
	if c.GOPTotalBytes < 0 {
		return fmt.Errorf("hub.gop_total_bytes: %d, want 0 or more", c.GOPTotalBytes)
	}
	if c.Substream > SubstreamSub {
		return fmt.Errorf("hub.substream: %d, want main or sub", c.Substream)
	}
	if c.QueueMaxBytes < 2*c.GOPMaxBytes {
		return fmt.Errorf("hub.queue_max_bytes: %d, want at least twice hub.gop_max_bytes (%d): a new subscriber is given that at once", c.QueueMaxBytes, c.GOPMaxBytes)
	}
	return nil
}
