package signalling

import (
	"context"
	"errors"
	"net"
	"reflect"
	"testing"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
	"multi_process_server/pkg/registry"
	"multi_process_server/services/jt1078_server/internal/hub"
)

var (
	testDial       = Endpoint{Host: "203.0.113.7", Port: 9501}
	testReplayDial = Endpoint{Host: "203.0.113.7", Port: 9502}
)

func parseID(t testing.TB, s string) jt1078.StreamID {
	t.Helper()
	id, err := jt1078.ParseStreamID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The lines are a contract with servers that others run: byte for byte.
func TestQueueLiteral(t *testing.T) {
	redis := startRedis(t)
	q := &Queue{Client: redis.client(), Length: 10, Timeout: patience}
	id := parseID(t, "06495940943803")
	from := jt808.DateTimeOf(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	to := jt808.DateTimeOf(time.Date(2026, 1, 1, 12, 5, 0, 0, time.UTC))
	for _, err := range []error{
		q.StartLive(t.Context(), id, jt808.StreamSub, testDial),
		q.StopLive(t.Context(), id, jt808.StreamSub, testDial),
		q.StopReplay(t.Context(), id),
		q.StartReplay(t.Context(), id, from, to, testReplayDial),
		q.StartLive(t.Context(), parseID(t, "1234567890123456789064"), jt808.StreamMain, testDial),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`{"channelNo":"3","codeStreamType":"1","commandId":"9101","dataType":"0","iccid":"064959409438","ip":"203.0.113.7","port":"9501"}`,
		`{"channelNo":"3","codeStreamType":"1","commandId":"9102","dataType":"0","iccid":"064959409438","ip":"203.0.113.7","port":"9501"}`,
		`{"channelNo":"3","commandId":"9202","iccid":"064959409438"}`,
		`{"channelNo":"3","codeStreamType":"0","commandId":"9201","dataType":"0","endTime":"260101120500","iccid":"064959409438","ip":"203.0.113.7","port":"9502","startTime":"260101120000"}`,
		`{"channelNo":"64","codeStreamType":"0","commandId":"9101","dataType":"0","iccid":"12345678901234567890","ip":"203.0.113.7","port":"9501"}`,
	}
	if got := redis.list(); !reflect.DeepEqual(got, want) {
		t.Fatalf("got\n%q\nwant\n%q", got, want)
	}
}

func TestQueueNotDrained(t *testing.T) {
	redis := startRedis(t)
	q := &Queue{Client: redis.client(), Length: 3, Timeout: patience}
	id := parseID(t, "06495940943803")
	start := func() error { return q.StartLive(t.Context(), id, jt808.StreamSub, testDial) }
	stop := func() error { return q.StopLive(t.Context(), id, jt808.StreamSub, testDial) }
	for range 3 {
		if err := start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := start(); !errors.Is(err, ErrQueueFull) || !errors.Is(err, hub.ErrUnreachable) {
		t.Fatal(err)
	}
	// The starts that wait get their stops, and those have a bound, too.
	if err := errors.Join(stop(), stop(), q.StopReplay(t.Context(), id)); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{stop(), q.StopReplay(t.Context(), id), start()} {
		if !errors.Is(err, ErrQueueFull) {
			t.Fatal(err)
		}
	}
	if got := redis.list(); len(got) != 6 {
		t.Fatalf("%d commands wait", len(got))
	}
	if err := redis.client().LPopCount(t.Context(), QueueKey, 4).Err(); err != nil {
		t.Fatal(err)
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
}

// Redis goes away and comes back while the server runs.
func TestQueueRedisRestarts(t *testing.T) {
	redis := startRedis(t)
	q := &Queue{Client: redis.client(), Length: 10, Timeout: patience}
	id := parseID(t, "06495940943803")
	if err := errors.Join(q.StopReplay(t.Context(), id), q.Ready()); err != nil {
		t.Fatal(err)
	}
	redis.stop()
	for _, err := range []error{q.StopReplay(t.Context(), id), q.Ready()} {
		if !errors.Is(err, ErrQueueDown) || !errors.Is(err, hub.ErrUnreachable) {
			t.Fatal(err)
		}
	}
	redis.start()
	eventually(t, "Redis is used again", func() bool { return q.StopReplay(t.Context(), id) == nil })
	if err := q.Ready(); err != nil {
		t.Fatal(err)
	}
	if got := redis.list(); len(got) != 1 {
		t.Fatalf("got %q", got)
	}
}

// Redis accepts connections and says nothing: a command takes Queue.Timeout and no longer, and may have been queued.
func TestQueueRedisHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := registry.NewRedis(registry.RedisConfig{Addr: l.Addr().String()})
	defer client.Close()
	q := &Queue{Client: client, Length: 10, Timeout: 50 * time.Millisecond}
	started := time.Now()
	err = q.StopReplay(t.Context(), parseID(t, "06495940943803"))
	if !errors.Is(err, ErrQueueSilent) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, hub.ErrUnreachable) {
		t.Fatal(err)
	}
	if took := time.Since(started); took > patience {
		t.Fatalf("took %v", took)
	}

	q.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := q.StopReplay(ctx, parseID(t, "06495940943803")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// Redis is there and refuses: the error says how.
func TestQueueRedisRefuses(t *testing.T) {
	redis := startRedis(t)
	if err := redis.client().Set(t.Context(), QueueKey, "not a list", 0).Err(); err != nil {
		t.Fatal(err)
	}
	q := &Queue{Client: redis.client(), Length: 10, Timeout: patience}
	if err := q.StopReplay(t.Context(), parseID(t, "06495940943803")); !errors.Is(err, ErrQueueDown) {
		t.Fatal(err)
	}
}
