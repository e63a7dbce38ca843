package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
)

// Exit codes of a service.
const (
	exitOK     = 0
	exitFailed = 1 // it ran, or tried to
	exitUsage  = 2 // flags or configuration
)

// Common is the part of the configuration that every service has. Embed it with `yaml:",inline"`.
type Common struct {
	Log   LogConfig   `yaml:"log"`
	Admin AdminConfig `yaml:"admin"`
}

// Validate names the first key that is wrong.
func (c *Common) Validate() error {
	if err := c.Log.Validate(); err != nil {
		return err
	}
	return c.Admin.Validate()
}

func (c *Common) common() *Common { return c }

// Spec describes a service to Main. *C must embed Common and may have Validate() error.
type Spec[C any] struct {
	// Name of the binary: jt1078_server.
	Name string
	// EnvPrefix of the variables that override the file: JT1078_.
	EnvPrefix string
	// Default makes a configuration that works with no file at all.
	Default func() C
	// Run does the service's work. It returns nil when ctx is done and everything it started has ended, or the error
	// that made it give up.
	Run func(ctx context.Context, p *Process, cfg *C) error
}

// Process is what Run gets of its process.
type Process struct {
	Name    string
	Version string
	// Metrics is where everything that is counted is registered; /metrics shows it.
	Metrics *prometheus.Registry

	logs   *logs
	checks checks
}

// Logger returns the logger of a component, at the level that log.levels gives it.
func (p *Process) Logger(component string) zerolog.Logger { return p.logs.component(component) }

// Ready adds a condition to /readyz. check is called from the admin listener's goroutines, must not block, and says
// in its error what is missing.
func (p *Process) Ready(name string, check func() error) { p.checks.add(name, check) }

// Started writes the one line of a good start: what listens where.
func (p *Process) Started(summary string) {
	log := p.Logger("main")
	log.Info().Str("version", p.Version).Msg(p.Name + " ready: " + summary)
}

// Main runs a service and ends the process with its exit code.
func Main[C any](spec Spec[C]) {
	os.Exit(run(spec, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

func run[C any](spec Spec[C], args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(spec.Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "", "YAML file; without it the defaults and the "+spec.EnvPrefix+"* variables hold")
	check := flags.Bool("check-config", false, "check the configuration and exit")
	health := flags.Bool("health", false, "ask the service that runs with this configuration whether it is ready, and exit")
	version := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "%s: unexpected argument %q; see --help\n", spec.Name, flags.Arg(0))
		return exitUsage
	}
	if *version {
		fmt.Fprintln(stdout, spec.Name, Version())
		return exitOK
	}

	cfg, warnings, err := Load(*file, spec.EnvPrefix, spec.Default, environ)
	if err != nil {
		fmt.Fprintf(stderr, "%s: configuration: %v\n", spec.Name, err)
		return exitUsage
	}
	common := any(&cfg).(interface{ common() *Common }).common()
	if *check {
		for _, warning := range warnings {
			fmt.Fprintf(stderr, "%s: warning: %s\n", spec.Name, warning)
		}
		fmt.Fprintf(stdout, "%s: configuration ok\n", spec.Name)
		return exitOK
	}
	if *health {
		if err := askReady(common.Admin.Address); err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", spec.Name, err)
			return exitFailed
		}
		return exitOK
	}

	logs, err := openLogs(common.Log, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "%s: configuration: %v\n", spec.Name, err)
		return exitUsage
	}
	defer logs.close()
	p := &Process{Name: spec.Name, Version: Version(), Metrics: prometheus.NewRegistry(), logs: logs}
	p.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	log := p.Logger("main")
	for _, warning := range warnings {
		log.Warn().Msg(warning)
	}

	// The first signal drains; it also restores the default, so that a second one kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	admin, err := startAdmin(common.Admin, p)
	if err != nil {
		log.Error().Msg(err.Error())
		return exitFailed
	}
	defer admin.close()

	if err := spec.Run(ctx, p, &cfg); err != nil && !errors.Is(err, context.Canceled) {
		log.Error().Msg(err.Error())
		return exitFailed
	}
	log.Info().Msg(p.Name + " stopped")
	return exitOK
}
