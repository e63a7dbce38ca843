package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"multi_process_server/tools/internal/suite"
)

// Load, sinks and subscribers are processes of their own, so that each one's CPU is counted by itself: this executable
// again, told by helperVariable what to be. They look like services to the suite, with /readyz and /metrics.

// helperVariable of the environment holds a helper's name and flags.
const helperVariable = "MULTI_PROCESS_SERVER_BENCH_HELPER"

// counters are a helper's metrics.
type counters map[string]func() int64

// helperFunc is a helper's life: it calls ready once it listens or has begun, and returns when ctx is done.
type helperFunc func(ctx context.Context, ready func(counters)) error

// helper is the process's whole life.
func helper(ctx context.Context) error {
	fields := strings.Fields(os.Getenv(helperVariable))
	f := flag.NewFlagSet(fields[0], flag.ContinueOnError)
	admin := f.String("admin", "", "")
	var run helperFunc
	switch fields[0] {
	case "load":
		run = newLoad(f)
	case "sink":
		run = newSink(f)
	case "tcprelay":
		run = newTCPRelay(f)
	case "subscriber":
		run = newSubscriber(f)
	default:
		return fmt.Errorf("no helper %q", fields[0])
	}
	if err := f.Parse(fields[1:]); err != nil {
		return err
	}
	l, err := net.Listen("tcp", *admin)
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer server.Close() //nolint:errcheck // the process ends
	return run(ctx, func(c counters) {
		server.Handler = c.handler()
		wg.Go(func() { server.Serve(l) }) //nolint:errcheck // the parent notices
	})
}

func (c counters) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range c {
			fmt.Fprintln(w, name, value())
		}
	})
	return mux
}

// newHelper is a helper that is not started yet.
func (b *bench) newHelper(name, admin string, args ...string) *suite.Service {
	return &suite.Service{
		Name: name, Path: b.self, Admin: admin, Log: filepath.Join(b.logs, name+".log"),
		Env: []string{helperVariable + "=" + strings.Join(append([]string{name, "--admin", admin}, args...), " ")},
	}
}

// startHelper runs a helper until its Stop.
func (b *bench) startHelper(ctx context.Context, name string, args ...string) (*suite.Service, error) {
	ports, err := suite.FreePorts(1)
	if err != nil {
		return nil, err
	}
	s := b.newHelper(name, suite.Loopback(ports[0]), args...)
	return s, s.Start(ctx)
}

// metric sums a metric's samples of a service or helper.
func metric(ctx context.Context, s *suite.Service, name string) (float64, error) {
	text, err := s.Metrics(ctx)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.Name, err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		fields := strings.Fields(rest)
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q: %w", s.Name, line, err)
		}
		sum, found = sum+value, true
	}
	if !found {
		return 0, fmt.Errorf("%s has no metric %s", s.Name, name)
	}
	return sum, nil
}

// waitFor waits until a metric has come to a value.
func waitFor(ctx context.Context, s *suite.Service, name string, value int) error {
	const limit, poll = 30 * time.Second, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		now, err := metric(ctx, s, name)
		if err == nil && now >= float64(value) {
			return nil
		}
		if pause(ctx, poll) != nil {
			return errors.Join(fmt.Errorf("%s: %s is %v after %v, want %d", s.Name, name, now, limit, value), err)
		}
	}
}

// serve gives each connection a goroutine until ctx is done, and returns when all have ended.
func serve(ctx context.Context, l net.Listener, handle func(net.Conn)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			handle(conn)
		})
	}
}
