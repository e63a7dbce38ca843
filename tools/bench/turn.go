package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"multi_process_server/tools/internal/suite"
)

// complete is how much of what was to be sent or received may be missing by the clocks' inaccuracy alone.
const complete = 0.98

// target is what vehicles send to: jt1078_server or its limit, a process that is not started yet.
type target struct {
	service  *suite.Service
	media    string   // where vehicles dial
	received string   // its metric of bytes
	consume  []string // flags of its subscriber, none without one
	taken    string   // the subscriber's metric that is comparable with sent
	sent     string   // the load's metric
}

func (b *bench) server(watched bool) (*target, error) {
	addresses, err := suite.FreeAddresses()
	if err != nil {
		return nil, err
	}
	s := &suite.Suite{Binaries: b.binaries, Logs: b.logs, Addresses: addresses}
	s.Initialize()
	t := &target{service: s.JT1078, media: addresses.Live, received: "jt1078_ingest_packet_bytes_total"}
	if watched {
		t.consume, t.taken, t.sent = []string{"--relay", addresses.Relay}, "frames", "frames"
	}
	return t, nil
}

func (b *bench) limit(watched bool) (*target, error) {
	ports, err := suite.FreePorts(3)
	if err != nil {
		return nil, err
	}
	admin, media, subscribers := suite.Loopback(ports[0]), suite.Loopback(ports[1]), suite.Loopback(ports[2])
	t := &target{media: media, received: "bytes"}
	if watched {
		t.service = b.newHelper("tcprelay", admin, "--media", media, "--subscribers", subscribers)
		t.consume, t.taken, t.sent = []string{"--tcp", subscribers}, "bytes", "bytes"
	} else {
		t.service = b.newHelper("sink", admin, "--media", media)
	}
	return t, nil
}

// turn is one measurement of a target. CPU is in cores.
type turn struct {
	cpu        float64 // of the target, for all that should have come: where less has, it is extrapolated
	subscriber float64 // of the subscriber, in the same way
	others     float64 // of everything else on the machine
	memoryKB   float64 // of the target for each stream, beyond its memory at rest
	pace       float64 // frames sent, of those that were due
	received   float64 // bytes that the target has received, of those sent
	taken      float64 // what the subscriber has received, of what was sent
}

// measure starts a target, has n vehicles send to it, and watches.
func (b *bench) measure(ctx context.Context, t *target, n int) (*turn, error) {
	if err := t.service.Start(ctx); err != nil {
		return nil, err
	}
	defer t.service.Stop() //nolint:errcheck // its end is not what is measured
	restKB, err := residentKB(t.service.PID())
	if err != nil {
		return nil, err
	}
	count := strconv.Itoa(n)
	load, err := b.startHelper(ctx, "load", "--media", t.media, "--count", count)
	if err != nil {
		return nil, err
	}
	defer load.Stop() //nolint:errcheck // it has done its work
	if err := waitFor(ctx, load, "streams", n); err != nil {
		return nil, err
	}
	services := []*suite.Service{t.service, load}
	if t.consume != nil {
		subscriber, err := b.startHelper(ctx, "subscriber", append([]string{"--count", count}, t.consume...)...)
		if err != nil {
			return nil, err
		}
		defer subscriber.Stop() //nolint:errcheck // it has done its work
		if err := waitFor(ctx, subscriber, "open", n); err != nil {
			return nil, err
		}
		services = append(services, subscriber)
	}
	if err := pause(ctx, b.settle); err != nil {
		return nil, err
	}
	return b.watchTurn(ctx, t, n, restKB, services)
}

// watchTurn is the measurement itself, of processes that run and are connected.
func (b *bench) watchTurn(ctx context.Context, t *target, n int, restKB float64, services []*suite.Service) (*turn, error) {
	before, err := t.counts(ctx, services)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	stop := b.startProfile(ctx, t, n)
	u, err := watch(ctx, b.seconds, services...)
	if err = errors.Join(err, stop()); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := t.counts(ctx, services)
	if err != nil {
		return nil, err
	}
	for i := range after {
		after[i] -= before[i]
	}
	m := &turn{
		others:   u.others,
		memoryKB: (u.maxKB - restKB) / float64(n),
		pace:     after[0] / (took.Seconds() * fps * float64(n)),
		received: after[2] / after[1],
	}
	m.cpu = u.cpu[0] / (m.pace * m.received)
	if t.consume != nil {
		m.taken = after[4] / after[3]
		m.subscriber = u.cpu[2] / (m.pace * m.taken)
	}
	b.say("  %s: %.3f cores, load %.3f, others %.2f, %.0f kB a stream, %.1f %% of the frames sent",
		t.service.Name, u.cpu[0], u.cpu[1], m.others, m.memoryKB, 100*m.pace)
	return m, nil
}

// counts are frames and bytes sent, bytes received, and of a subscriber what was sent and taken.
func (t *target) counts(ctx context.Context, services []*suite.Service) (counts []float64, err error) {
	type count struct {
		service *suite.Service
		name    string
	}
	wanted := []count{{services[1], "frames"}, {services[1], "bytes"}, {t.service, t.received}}
	if t.consume != nil {
		wanted = append(wanted, count{services[1], t.sent}, count{services[2], t.taken})
	}
	for _, w := range wanted {
		value, err := metric(ctx, w.service, w.name)
		if err != nil {
			return nil, err
		}
		counts = append(counts, value)
	}
	return counts, nil
}

// startProfile has jt1078_server profile itself if the user wishes so; stop waits for the profile.
func (b *bench) startProfile(ctx context.Context, t *target, n int) (stop func() error) {
	if b.profile == "" || t.service.Name != suite.JT1078Server {
		return func() error { return nil }
	}
	kind := "ingest"
	if t.consume != nil {
		kind = "relay"
	}
	file := filepath.Join(b.profile, fmt.Sprintf("%s-%d.pprof", kind, n))
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", t.service.Admin, max(int(b.seconds/time.Second), 1))
	done := make(chan error, 1)
	go func() { done <- download(ctx, url, file) }()
	return func() error { return <-done }
}

func download(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, response.Body)
	return errors.Join(err, out.Close())
}

// pair is the turns of a target and of its limit.
type pair struct{ subject, limit []*turn }

// alternate measures jt1078_server and its limit in rounds, each round in the other order.
func (b *bench) alternate(ctx context.Context, what string, n int, watched bool) (*pair, error) {
	p := &pair{}
	sides := []struct {
		make func(bool) (*target, error)
		into *[]*turn
	}{{b.server, &p.subject}, {b.limit, &p.limit}}
	for round := range b.rounds {
		b.say("%s, %d streams, round %d of %d", what, n, round+1, b.rounds)
		for range sides {
			t, err := sides[0].make(watched)
			if err != nil {
				return nil, err
			}
			m, err := b.measure(ctx, t, n)
			if err != nil {
				return nil, err
			}
			*sides[0].into = append(*sides[0].into, m)
			sides[0], sides[1] = sides[1], sides[0]
		}
		sides[0], sides[1] = sides[1], sides[0]
	}
	return p, nil
}

// values of one column.
func values(turns []*turn, column func(*turn) float64) []float64 {
	var all []float64
	for _, t := range turns {
		all = append(all, column(t))
	}
	return all
}

func middle(turns []*turn, column func(*turn) float64) float64 { return median(values(turns, column)) }

// Columns.
func cpu(t *turn) float64        { return t.cpu }
func subscriber(t *turn) float64 { return t.subscriber }
func others(t *turn) float64     { return t.others }
func memory(t *turn) float64     { return t.memoryKB }

// percent of a core for each stream.
func percent(cores float64, n int) string { return fmt.Sprintf("%.3f %%", 100*cores/float64(n)) }

// doubt notes what makes a table's rows doubtful.
func (t *table) doubt(what string, turns []*turn) {
	const quiet = 0.2 // cores
	if least := slices.Min(values(turns, func(m *turn) float64 { return m.pace })); least < complete {
		t.note("Doubtful: the load of %s fell behind, down to %.0f %% of the frames.", what, 100*least)
	}
	if least := slices.Min(values(turns, func(m *turn) float64 { return m.received })); least < complete {
		t.note("Doubtful: %s received less than was sent, down to %.0f %%.", what, 100*least)
	}
	if least := slices.Min(values(turns, func(m *turn) float64 { return m.taken })); turns[0].subscriber > 0 && least < complete {
		t.note("Doubtful: the subscriber of %s received less than was sent, down to %.0f %%.", what, 100*least)
	}
	if slices.Max(values(turns, others)) > quiet {
		t.note("Doubtful: the machine was not quiet, see others.")
	}
}
