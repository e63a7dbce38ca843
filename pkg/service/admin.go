package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// AdminConfig is the listener for operators. It shows the inside of the service: do not publish it.
type AdminConfig struct {
	// Address of the listener; empty is none.
	Address string `yaml:"address"`
}

// Validate names the first key that is wrong.
func (c *AdminConfig) Validate() error {
	if c.Address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("admin.address: %q is not host:port", c.Address)
	}
	return nil
}

// checks are the conditions of readiness. The mutex guards the list.
type checks struct {
	mutex sync.Mutex
	list  []check
}

type check struct {
	name string
	err  func() error
}

func (c *checks) add(name string, err func() error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.list = append(c.list, check{name, err})
}

// unmet returns a line for each check that fails. Before the service has added its first check it is starting.
func (c *checks) unmet() []string {
	c.mutex.Lock()
	list := c.list
	c.mutex.Unlock()
	if len(list) == 0 {
		return []string{"the service is starting"}
	}
	var lines []string
	for _, check := range list {
		if err := check.err(); err != nil {
			lines = append(lines, check.name+": "+err.Error())
		}
	}
	return lines
}

type admin struct {
	server http.Server
	done   chan struct{}
}

func startAdmin(config AdminConfig, p *Process) (*admin, error) {
	a := &admin{done: make(chan struct{})}
	if config.Address == "" {
		close(a.done)
		return a, nil
	}
	listener, err := Listen("admin.address", config.Address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if unmet := p.checks.unmet(); len(unmet) > 0 {
			http.Error(w, strings.Join(unmet, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	a.server.Handler = mux
	a.server.ReadHeaderTimeout = 5 * time.Second
	go func() {
		defer close(a.done)
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log := p.Logger("admin")
			log.Error().Err(err).Msg("the admin listener has ended")
		}
	}()
	return a, nil
}

func (a *admin) close() {
	_ = a.server.Close() // the listener ends whatever it says
	<-a.done
}

// askReady is what a container's health check runs: the binary asks the service beside it.
func askReady(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("admin.address is empty: without the admin listener nobody can be asked")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("admin.address: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("the service does not answer: %w", err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(body)))
	}
	return nil
}
