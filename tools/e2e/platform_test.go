package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/tools/internal/simvehicle"
	"multi_process_server/tools/internal/suite"
)

// patience is how long anything may take that is sure to come. Nothing is judged by it.
const patience = 30 * time.Second

// platform is the three running services.
type platform struct{ *suite.Suite }

func (p *platform) rtsp(id string) string { return "rtsp://" + p.Addresses.RTSP + "/live/" + id }
func (p *platform) flv(id string) string  { return p.web("/live/" + id + ".flv") }
func (p *platform) web(path string) string {
	return "http://" + p.Addresses.HTTP + path
}

func (p *platform) logTails(t *testing.T) {
	for _, s := range p.Services() {
		t.Log(s.Tail())
	}
}

// metric sums a metric's samples whose labels contain all of the given name="value" pairs; 0 when there is none.
func (p *platform) metric(t *testing.T, s *suite.Service, name string, labels ...string) float64 {
	t.Helper()
	text, err := s.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
samples:
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		fields := strings.Fields(rest)
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue samples
			}
		}
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		sum += v
	}
	return sum
}

// eventually fails the test when condition does not come true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("this did not come true: " + what)
		}
	}
}

// vehicle is a simulated vehicle that remembers what happened to it.
type vehicle struct {
	*simvehicle.Vehicle
	mutex  sync.Mutex // guards events
	events []simvehicle.Event
}

// nextSIM gives every vehicle of a test run another number.
var nextSIM atomic.Int64

// vehicle starts a vehicle of its own SIM with one channel; it is online when this returns.
func (p *platform) vehicle(t *testing.T, change func(*simvehicle.Vehicle)) *vehicle {
	t.Helper()
	v := &vehicle{Vehicle: &simvehicle.Vehicle{
		SIM: mustSIM(t, fmt.Sprintf("0135%08d", nextSIM.Add(1))), Channels: 1, Gateway: p.Addresses.Gateway, Retry: 100 * time.Millisecond,
	}}
	v.Notify = func(e simvehicle.Event) {
		v.mutex.Lock()
		defer v.mutex.Unlock()
		v.events = append(v.events, e)
	}
	if change != nil {
		change(v.Vehicle)
	}
	v.Start()
	t.Cleanup(v.Close)
	t.Cleanup(func() {
		if t.Failed() {
			v.mutex.Lock()
			defer v.mutex.Unlock()
			for _, e := range v.events {
				t.Log("vehicle", e)
			}
		}
	})
	if v.Gateway != "" {
		eventually(t, "the vehicle is online", v.Online)
	}
	return v
}

func mustSIM(t *testing.T, s string) jt1078.SIM {
	t.Helper()
	sim, err := jt1078.ParseSIM(s)
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// id is a channel's stream.
func (v *vehicle) id(channel uint8) string {
	return jt1078.StreamID{SIM: v.SIM, Channel: channel}.String()
}

// count is how often something has happened to a channel.
func (v *vehicle) count(kind simvehicle.EventKind, channel uint8) int {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	n := 0
	for _, e := range v.events {
		if e.Kind == kind && e.Channel == channel {
			n++
		}
	}
	return n
}

// waitIdle waits until the channel was told to stop and has stopped.
func (v *vehicle) waitIdle(t *testing.T, channel uint8) {
	t.Helper()
	eventually(t, "the vehicle was told to stop and has", func() bool {
		return v.count(simvehicle.EventStop, channel) > 0 && !v.Active(channel)
	})
}

// limited is a context for something that ends by itself soon.
func limited(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
