package signalling

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"multi_process_server/services/jt1078_server/internal/hub"
)

func newCommander(t *testing.T, mode Mode, g *Gateway, q *Queue) *Commander {
	t.Helper()
	c := &Commander{
		Mode: mode, Gateway: g, Queue: q, Live: testDial, Log: zerolog.New(zerolog.NewTestWriter(t)),
		Metrics: prometheus.NewRegistry(),
	}
	c.Initialize()
	return c
}

// In auto mode a vehicle on the gateway is told there, any other through Redis.
func TestCommanderAuto(t *testing.T) {
	redis := startRedis(t)
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	c := newCommander(t, ModeAuto, g, &Queue{Client: redis.client(), Length: 10, Timeout: patience})

	type outcome struct {
		acknowledged bool
		err          error
	}
	done := make(chan outcome, 1)
	go func() {
		acknowledged, err := c.StartLive(t.Context(), parseID(t, "06495940943803"), hub.SubstreamSub)
		done <- outcome{acknowledged, err}
	}()
	v.reply(v.expectCommand(), 0x9101, 0)
	if got := <-done; got.err != nil || !got.acknowledged {
		t.Fatalf("got %+v", got)
	}

	stopped := make(chan error, 1)
	go func() { stopped <- c.StopLive(t.Context(), parseID(t, "06495940943803"), hub.SubstreamSub) }()
	id, serial, body := v.receive()
	if id != 0x9102 || string(body) != "\x03\x00\x00\x01" {
		t.Fatalf("got %04x %x", id, body)
	}
	v.reply(serial, 0x9102, 0)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if got := redis.list(); len(got) != 0 {
		t.Fatalf("got %q", got)
	}

	var log bytes.Buffer
	c.Log = zerolog.New(&log)
	acknowledged, err := c.StartLive(t.Context(), parseID(t, "01391234567801"), hub.SubstreamMain)
	if err != nil || acknowledged {
		t.Fatal(acknowledged, err)
	}
	want := `{"channelNo":"1","codeStreamType":"0","commandId":"9101","dataType":"0","iccid":"013912345678","ip":"203.0.113.7","port":"9501"}`
	if got := redis.list(); len(got) != 1 || got[0] != want {
		t.Fatalf("got %q", got)
	}
	if text := log.String(); !strings.Contains(text, "not connected to the gateway") || !strings.Contains(text, QueueKey) {
		t.Errorf("the log does not say where the start went: %s", text)
	}
	for _, labels := range [][]string{{"builtin", "live_start", "ok"}, {"builtin", "live_stop", "ok"}, {"redis", "live_start", "ok"}} {
		if n := testutil.ToFloat64(c.metrics.commands.WithLabelValues(labels...)); n != 1 {
			t.Errorf("%v: %v counted", labels, n)
		}
	}
}

// Without public_host a vehicle is told the address that it has reached the gateway by.
func TestCommanderWithoutPublicHost(t *testing.T) {
	g := startGateway(t, nil)
	v := enter(t, g, testSIM)
	c := newCommander(t, ModeAuto, g, nil)
	c.Live.Host = ""
	done := make(chan error, 1)
	go func() {
		_, err := c.StartLive(t.Context(), parseID(t, "06495940943803"), hub.SubstreamSub)
		done <- err
	}()
	_, serial, body := v.receive()
	if string(body) != "\x09127.0.0.1\x25\x1d\x00\x00\x03\x00\x01" {
		t.Fatalf("got %q", body)
	}
	v.reply(serial, 0x9101, 0)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCommanderErrors(t *testing.T) {
	g := startGateway(t, func(config *GatewayConfig) { config.ReplyTimeout = time.Millisecond })
	silent := enter(t, g, "013912345678")
	redis := startRedis(t)
	queue := &Queue{Client: redis.client(), Length: 1, Timeout: patience}
	redis.stop()
	const offline, connected = "06495940943803", "01391234567801"
	for _, c := range []struct {
		name   string
		mode   Mode
		g      *Gateway
		q      *Queue
		host   string
		id     string
		want   error
		result string
		says   string
	}{
		{"auto, offline", ModeAuto, g, nil, "h", offline, ErrOffline, "offline", "set redis.addr"},
		{"auto, nothing", ModeAuto, nil, nil, "h", offline, hub.ErrUnreachable, "offline", "neither a gateway"},
		{"auto, Redis down", ModeAuto, g, queue, "h", offline, ErrQueueDown, "queue_down", "not connected to the gateway"},
		{"auto, no public host", ModeAuto, g, queue, "", offline, ErrOffline, "offline", "public_host"},
		{"builtin, offline", ModeBuiltin, g, queue, "h", offline, ErrOffline, "offline", "not connected to the gateway"},
		{"builtin, no reply", ModeBuiltin, g, queue, "h", connected, context.DeadlineExceeded, "no_reply", "did not reply"},
		{"redis, down", ModeRedis, g, queue, "h", connected, ErrQueueDown, "queue_down", "Redis"},
	} {
		t.Run(c.name, func(t *testing.T) {
			commander := newCommander(t, c.mode, c.g, c.q)
			commander.Live.Host = c.host
			acknowledged, err := commander.StartLive(t.Context(), parseID(t, c.id), hub.SubstreamSub)
			if acknowledged || !errors.Is(err, c.want) {
				t.Fatal(acknowledged, err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%q does not say %q", err, c.says)
			}
			if result := resultOf(err); result != c.result {
				t.Fatalf("got %s, want %s", result, c.result)
			}
			if err := commander.StopLive(t.Context(), parseID(t, c.id), hub.SubstreamSub); err == nil {
				t.Fatal("stopped")
			}
		})
	}
	silent.conn.Close()
}

func TestCommanderReady(t *testing.T) {
	g := startGateway(t, nil)
	redis := startRedis(t)
	q := &Queue{Client: redis.client(), Length: 1, Timeout: patience}
	check := func(down bool) {
		t.Helper()
		for _, c := range []struct {
			mode  Mode
			g     *Gateway
			q     *Queue
			needs bool
		}{
			{ModeAuto, g, nil, false},
			{ModeAuto, g, q, false},
			{ModeAuto, nil, q, true},
			{ModeBuiltin, g, q, false},
			{ModeRedis, g, q, true},
		} {
			if err := newCommander(t, c.mode, c.g, c.q).Ready(); (err != nil) != (c.needs && down) {
				t.Errorf("%+v: %v", c, err)
			}
		}
	}
	check(false)
	redis.stop()
	check(true)
}
