package registry

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/pkg/jt1078"
)

func TestMain(m *testing.M) {
	// The Redis library's own, which looks once a second whether its client has been closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const patience = 20 * time.Second

// eventually polls until ok, or fails.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// startRedis runs a real redis-server on address until the test ends or stop is called.
func startRedis(t *testing.T, address string) (stop func()) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		const text = "redis-server is missing: install the package redis-server"
		if os.Getenv("CI") != "" || os.Getenv("MPS_REQUIRE_TOOLS") != "" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command("redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	t.Cleanup(stop)
	client := newRedis(t, address)
	eventually(t, "redis-server answers", func() bool { return client.Ping(t.Context()).Err() == nil })
	return stop
}

func newRedis(t *testing.T, address string) *redis.Client {
	t.Helper()
	client := NewRedis(RedisConfig{Addr: address})
	t.Cleanup(func() { client.Close() })
	return client
}

func stream(t *testing.T, name string) jt1078.Key {
	t.Helper()
	id, err := jt1078.ParseStreamID(name)
	if err != nil {
		t.Fatal(err)
	}
	return jt1078.Key{Kind: jt1078.KindLive, ID: id}
}

// streams is a node's list, which the test changes.
type streams struct {
	mutex sync.Mutex
	list  []jt1078.Key
}

func (s *streams) set(list ...jt1078.Key) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.list = list
}

func (s *streams) get() []jt1078.Key {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.list
}

func announce(t *testing.T, client *redis.Client, name string, s *streams) *Announcer {
	t.Helper()
	a := &Announcer{
		Redis: client, Node: Node{Name: name, PublicHost: "198.51.100.1", RelayAddress: name + ":9511"}, Streams: s.get,
		Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), every: 20 * time.Millisecond,
	}
	if err := a.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func ready(t *testing.T, a *Announcer) {
	t.Helper()
	eventually(t, a.Node.Name+" is registered", func() bool { return a.Ready() == nil })
}

func TestKeys(t *testing.T) {
	address := freeAddress(t)
	startRedis(t, address)
	client := newRedis(t, address)
	var has streams
	has.set(stream(t, "06495940943803"), stream(t, "06495940943804"))
	a := announce(t, client, "node-1", &has)
	ready(t, a)

	ctx := t.Context()
	if text := client.Get(ctx, "jt1078:node:node-1").Val(); text != `{"name":"node-1","public_host":"198.51.100.1","relay_address":"node-1:9511","streams":2}` {
		t.Errorf("node: %s", text)
	}
	if !client.SIsMember(ctx, "jt1078:nodes", "node-1").Val() {
		t.Error("the set of nodes lacks it")
	}
	if owner := client.Get(ctx, "jt1078:stream:live/06495940943803").Val(); owner != "node-1" {
		t.Errorf("owner %q", owner)
	}
	for key, ttl := range map[string]time.Duration{"jt1078:node:node-1": nodeTTL, "jt1078:stream:live/06495940943803": streamTTL} {
		if left := client.PTTL(ctx, key).Val(); left <= 0 || left > ttl {
			t.Errorf("%s expires in %v", key, left)
		}
	}

	has.set(stream(t, "06495940943804"))
	eventually(t, "a stream that has ended is given up", func() bool { return client.Exists(ctx, "jt1078:stream:live/06495940943803").Val() == 0 })
	client.FlushDB(ctx)
	eventually(t, "what was lost is there again", func() bool {
		return client.Exists(ctx, "jt1078:node:node-1", "jt1078:stream:live/06495940943804", "jt1078:nodes").Val() == 3
	})
	a.Close()
	if left := client.Keys(ctx, "*").Val(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOneOwner(t *testing.T) {
	address := freeAddress(t)
	startRedis(t, address)
	client := newRedis(t, address)
	var both streams
	both.set(stream(t, "06495940943803"))
	a := announce(t, client, "a", &both)
	ready(t, a)
	b := announce(t, client, "b", &both)
	ready(t, b)
	directory := Directory{Redis: client}
	if at, err := directory.Resolve(t.Context(), stream(t, "06495940943803")); at != "a:9511" {
		t.Errorf("%s, %v", at, err)
	}
	eventually(t, "b knows", func() bool { return testutil.ToFloat64(b.contests) == 1 })
	if n := testutil.ToFloat64(a.contests); n != 0 {
		t.Errorf("a has %v contested", n)
	}
	a.Close()
	eventually(t, "b takes over", func() bool {
		at, _ := directory.Resolve(t.Context(), stream(t, "06495940943803"))
		return at == "b:9511" && testutil.ToFloat64(b.contests) == 0
	})
}

// A stream that ends and begins again during a heartbeat stays the node's.
func TestStreamIsTakenUpAgain(t *testing.T) {
	address := freeAddress(t)
	startRedis(t, address)
	client := newRedis(t, address)
	taken := stream(t, "06495940943803")
	calls := 0
	a := &Announcer{
		Redis: client, Node: Node{Name: "node-1", RelayAddress: "node-1:9511"}, Log: zerolog.Nop(), every: time.Hour,
		Streams: func() []jt1078.Key {
			if calls++; calls == 3 { // the second heartbeat's first look
				return nil
			}
			return []jt1078.Key{taken}
		},
	}
	if err := a.Initialize(); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ready(t, a)
	if err := a.beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if owner := client.Get(t.Context(), streamKey(taken)).Val(); calls != 4 || owner != "node-1" {
		t.Errorf("after %d looks the owner is %q", calls, owner)
	}
}

func TestNewStreamGoesToTheLeastLoaded(t *testing.T) {
	address := freeAddress(t)
	startRedis(t, address)
	client := newRedis(t, address)
	var busy, idle streams
	busy.set(stream(t, "06495940943803"), stream(t, "06495940943804"))
	ready(t, announce(t, client, "busy", &busy))
	ready(t, announce(t, client, "idle", &idle))
	directory := Directory{Redis: client}
	wanted := stream(t, "01391234567801")

	answers := make([]string, 8)
	var asking sync.WaitGroup
	for i := range answers {
		asking.Go(func() { answers[i], _ = directory.Resolve(t.Context(), wanted) })
	}
	asking.Wait()
	for _, at := range answers {
		if at != "idle:9511" {
			t.Errorf("sent to %q", at)
		}
	}
	if owner := client.Get(t.Context(), "jt1078:stream:live/01391234567801").Val(); owner != "idle" {
		t.Errorf("owner %q", owner)
	}
	if left := client.PTTL(t.Context(), "jt1078:stream:live/01391234567801").Val(); left <= 0 || left > streamTTL {
		t.Errorf("expires in %v", left)
	}
}

func TestDeadNode(t *testing.T) {
	address := freeAddress(t)
	startRedis(t, address)
	client := newRedis(t, address)
	ctx := t.Context()
	// What a node leaves that was killed, when its own key has expired.
	client.SAdd(ctx, "jt1078:nodes", "dead")
	client.Set(ctx, "jt1078:stream:live/06495940943803", "dead", time.Minute)
	directory := Directory{Redis: client}
	if _, err := directory.Resolve(ctx, stream(t, "06495940943803")); !errors.Is(err, ErrNoNode) {
		t.Errorf("error %v", err)
	}
	if client.SIsMember(ctx, "jt1078:nodes", "dead").Val() {
		t.Error("the dead is still listed")
	}
	var none streams
	ready(t, announce(t, client, "alive", &none))
	if at, err := directory.Resolve(ctx, stream(t, "06495940943803")); at != "alive:9511" {
		t.Errorf("%s, %v", at, err)
	}
}

func TestBrokenNodeKey(t *testing.T) {
	address := freeAddress(t)
	startRedis(t, address)
	client := newRedis(t, address)
	client.SAdd(t.Context(), "jt1078:nodes", "broken")
	client.Set(t.Context(), "jt1078:node:broken", "not JSON", 0)
	if _, err := (&Directory{Redis: client}).Resolve(t.Context(), stream(t, "06495940943803")); err == nil || !strings.Contains(err.Error(), "jt1078:node:broken") {
		t.Errorf("error %v", err)
	}
}

func TestRedisIsAway(t *testing.T) {
	address := freeAddress(t)
	client := newRedis(t, address)
	var none streams
	a := announce(t, client, "node-1", &none)
	eventually(t, "failed heartbeats are counted", func() bool { return testutil.ToFloat64(a.beats.WithLabelValues("failed")) >= 2 })
	if err := a.Ready(); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("ready: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := (&Directory{Redis: client}).Resolve(ctx, stream(t, "06495940943803")); err == nil || errors.Is(err, ErrNoNode) {
		t.Errorf("error %v", err)
	}

	stop := startRedis(t, address)
	ready(t, a)
	stop()
	eventually(t, "the loss is noticed", func() bool { return a.Ready() != nil })
	startRedis(t, address)
	ready(t, a)
	eventually(t, "the node is found", func() bool {
		at, _ := (&Directory{Redis: client}).Resolve(ctx, stream(t, "06495940943803"))
		return at == "node-1:9511"
	})
}

func TestManyStreams(t *testing.T) {
	address := freeAddress(t)
	startRedis(t, address)
	client := newRedis(t, address)
	var many streams
	list := make([]jt1078.Key, 3*batch+1)
	for i := range list {
		list[i] = jt1078.Key{Kind: jt1078.KindLive, ID: jt1078.StreamID{SIM: jt1078.SIM{8: byte(i >> 8), 9: byte(i)}, Channel: 1}}
	}
	many.set(list...)
	ready(t, announce(t, client, "node-1", &many))
	if n := len(client.Keys(t.Context(), "jt1078:stream:*").Val()); n != len(list) {
		t.Errorf("%d streams", n)
	}
}

func TestRedisConfig(t *testing.T) {
	if NewRedis(RedisConfig{}) != nil {
		t.Error("a client for no Redis")
	}
	for text, c := range map[string]RedisConfig{
		"":           {},
		"redis.addr": {Addr: "redis"},
		"redis.db":   {Addr: "redis:6379", DB: -1},
	} {
		if err := c.Validate(); (err == nil) != (text == "") || err != nil && !strings.HasPrefix(err.Error(), text+":") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestAnnouncerNeedsANameAndAnAddress(t *testing.T) {
	if err := (&Announcer{Node: Node{Name: "a"}}).Initialize(); err == nil {
		t.Error("accepted")
	}
}
