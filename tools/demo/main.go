// Command demo runs the whole platform on this machine, with two simulated vehicles: three services, no Redis, no SRS,
// no Docker. It needs Go and nothing else.
//
//	go run ./tools/demo
//
// Ports are the services' defaults; the services' variables (WEB_HTTP_ADDRESS=…) change them.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/tools/internal/simvehicle"
	"multi_process_server/tools/internal/suite"
)

// registerLimit is how long the vehicles may take to register.
const registerLimit = 15 * time.Second

// fleet is what drives around.
var fleet = []struct {
	sim      string
	channels uint8
}{
	{"064959409438", 4},
	{"013912345678", 2},
}

func main() { os.Exit(demo()) }

func demo() int {
	endWithGoRun()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)                                          // a second Ctrl-C does not wait
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) { // Ctrl-C is no failure
		for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
			fmt.Fprintln(os.Stderr, "demo:", line)
		}
		return 1
	}
	return 0
}

func run(ctx context.Context) error {
	addresses := suite.DefaultAddresses(os.Getenv)
	if err := addresses.CheckFree(); err != nil {
		return err
	}
	say := func(line string) { fmt.Println(line) }

	binaries, err := binariesFolder()
	if err != nil {
		return err
	}
	if err := suite.Build(ctx, binaries, false, say); err != nil {
		return err
	}
	logs, err := os.MkdirTemp("", "multi_process_server-demo-")
	if err != nil {
		return err
	}
	s := &suite.Suite{Binaries: binaries, Logs: logs, Addresses: addresses}
	for _, name := range suite.SRSVariables {
		if url := os.Getenv(name); url != "" { // somebody has an SRS
			s.Env = append(s.Env, name+"="+url)
		}
	}
	s.Initialize()
	say("starting the services …")
	if err := s.Start(ctx); err != nil {
		return err
	}
	err = drive(ctx, s, say)
	say("ending …")
	if stopErr := s.Stop(); stopErr != nil {
		return stopErr // the logs are left for reading, as after any error
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(logs)
}

// binariesFolder lasts, so that the next demonstration finds its binaries built.
func binariesFolder() (string, error) {
	folder := os.TempDir()
	if cache, err := os.UserCacheDir(); err == nil {
		folder = cache
	}
	folder = filepath.Join(folder, "multi_process_server", "demo")
	return folder, os.MkdirAll(folder, 0o755)
}

// drive lets the vehicles register, tells people what to do, and waits for the end.
func drive(ctx context.Context, s *suite.Suite, say func(string)) error {
	vehicles, err := newVehicles(s, say)
	if err != nil {
		return err
	}
	for _, v := range vehicles {
		v.Start()
		defer v.Close()
	}
	say("waiting for the vehicles to register …")
	if err := waitOnline(ctx, s, vehicles); err != nil {
		return err
	}
	fmt.Print(guide(s))
	return watch(ctx, s)
}

func newVehicles(s *suite.Suite, say func(string)) ([]*simvehicle.Vehicle, error) {
	var vehicles []*simvehicle.Vehicle
	for _, f := range fleet {
		sim, err := jt1078.ParseSIM(f.sim)
		if err != nil {
			return nil, err
		}
		vehicles = append(vehicles, &simvehicle.Vehicle{
			SIM: sim, Channels: f.channels, Gateway: local(s.Addresses.Gateway),
			Notify: func(e simvehicle.Event) { say("vehicle " + e.String()) },
		})
	}
	return vehicles, nil
}

func waitOnline(ctx context.Context, s *suite.Suite, vehicles []*simvehicle.Vehicle) error {
	limit, cancel := context.WithTimeout(ctx, registerLimit)
	defer cancel()
	for _, v := range vehicles {
		for !v.Online() {
			select {
			case <-limit.Done():
				return fmt.Errorf("vehicle %s could not register at %s: %w\n%s", v.SIM, v.Gateway, limit.Err(), s.JT1078.Tail())
			case <-s.JT1078.Ended():
				return fmt.Errorf("%s has ended\n%s", s.JT1078.Name, s.JT1078.Tail())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

// watch waits for Ctrl-C, or for a service that ends by itself.
func watch(ctx context.Context, s *suite.Suite) error {
	var ended *suite.Service
	select {
	case <-ctx.Done():
		return nil
	case <-s.JT1078.Ended():
		ended = s.JT1078
	case <-s.PC.Ended():
		ended = s.PC
	case <-s.Web.Ended():
		ended = s.Web
	}
	return fmt.Errorf("%s has ended\n%s", ended.Name, ended.Tail())
}

// local is how this machine reaches what listens on an address.
func local(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
