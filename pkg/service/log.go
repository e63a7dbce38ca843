package service

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"
)

// LogConfig says where logs go and how much is written.
type LogConfig struct {
	// Level for every component that Levels does not name: trace, debug, info, warn, error.
	Level string `yaml:"level"`
	// Levels of single components.
	Levels map[string]string `yaml:"levels"`
	// Console writes to standard output.
	Console bool `yaml:"console"`
	// Format of the console: text for people, json for collectors. The file is always json.
	Format string `yaml:"format"`
	// File is written beside the console or instead of it; empty is none.
	File string `yaml:"file"`
	// MaxSizeMB is the size at which the file is rotated.
	MaxSizeMB int `yaml:"max_size_mb"`
	// MaxBackups and MaxAgeDays bound the rotated files; they are compressed.
	MaxBackups int `yaml:"max_backups"`
	MaxAgeDays int `yaml:"max_age_days"`
}

// DefaultLogConfig logs to the console, for people.
func DefaultLogConfig() LogConfig {
	return LogConfig{Level: "info", Console: true, Format: "text", MaxSizeMB: 100, MaxBackups: 10, MaxAgeDays: 30}
}

// Validate names the first key that is wrong.
func (c *LogConfig) Validate() error {
	if _, err := zerolog.ParseLevel(c.Level); err != nil || c.Level == "" {
		return fmt.Errorf("log.level: %q is not trace, debug, info, warn or error", c.Level)
	}
	for component, level := range c.Levels {
		if _, err := zerolog.ParseLevel(level); err != nil || level == "" {
			return fmt.Errorf("log.levels.%s: %q is not trace, debug, info, warn or error", component, level)
		}
	}
	switch {
	case c.Format != "text" && c.Format != "json":
		return fmt.Errorf("log.format: %q is not text or json", c.Format)
	case !c.Console && c.File == "":
		return fmt.Errorf("log.console: false without a log.file leaves no log at all")
	case c.MaxSizeMB < 1:
		return fmt.Errorf("log.max_size_mb: %d is not 1 or more", c.MaxSizeMB)
	case c.MaxBackups < 1:
		return fmt.Errorf("log.max_backups: %d is not 1 or more", c.MaxBackups)
	case c.MaxAgeDays < 1:
		return fmt.Errorf("log.max_age_days: %d is not 1 or more", c.MaxAgeDays)
	}
	return nil
}

type logs struct {
	config LogConfig
	root   zerolog.Logger
	file   *lumberjack.Logger
}

func openLogs(config LogConfig, stdout io.Writer) (*logs, error) {
	zerolog.TimeFieldFormat = time.RFC3339Nano // of the whole process, and only main sets it
	l := &logs{config: config}
	var writers []io.Writer
	if config.Console {
		if config.Format == "text" {
			writers = append(writers, zerolog.ConsoleWriter{Out: stdout, TimeFormat: "15:04:05.000", NoColor: !isTerminal(stdout)})
		} else {
			writers = append(writers, stdout)
		}
	}
	if config.File != "" {
		// lumberjack opens the file at the first line; a folder that cannot be written must be said now.
		if err := os.MkdirAll(filepath.Dir(config.File), 0o755); err != nil {
			return nil, fmt.Errorf("log.file: %w", err)
		}
		probe, err := os.OpenFile(config.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("log.file: %w; give the user that runs the service the right to write there", err)
		}
		probe.Close()
		l.file = &lumberjack.Logger{
			Filename: config.File, MaxSize: config.MaxSizeMB, MaxBackups: config.MaxBackups, MaxAge: config.MaxAgeDays, Compress: true,
		}
		writers = append(writers, l.file)
	}
	l.root = zerolog.New(zerolog.MultiLevelWriter(writers...)).With().Timestamp().Logger()
	return l, nil
}

func (l *logs) component(name string) zerolog.Logger {
	text := l.config.Level
	if own, ok := l.config.Levels[name]; ok {
		text = own
	}
	level, _ := zerolog.ParseLevel(text) // Validate has seen it
	return l.root.Level(level).With().Str("component", name).Logger()
}

func (l *logs) close() {
	if l.file != nil {
		_ = l.file.Close() // the process ends, and this was the log
	}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
