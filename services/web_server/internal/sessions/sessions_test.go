package sessions

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/web_server/internal/srs"
	"multi_process_server/services/web_server/internal/webtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}))
}

// world counts the streams that a manager holds open.
type world struct {
	mutex     sync.Mutex
	open      map[string]int
	opened    int
	lastVideo time.Time
	up        bool
}

type heldStream struct {
	w   *world
	key string
}

func (w *world) Open(key jt1078.Key) Stream {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.open[key.String()]++
	w.opened++
	return &heldStream{w, key.String()}
}

func (w *world) count(stream string) int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.open[stream]
}

func (s *heldStream) LastVideo() time.Time {
	s.w.mutex.Lock()
	defer s.w.mutex.Unlock()
	return s.w.lastVideo
}

func (s *heldStream) Publishing() bool {
	s.w.mutex.Lock()
	defer s.w.mutex.Unlock()
	return s.w.up
}

func (s *heldStream) Close() {
	s.w.mutex.Lock()
	defer s.w.mutex.Unlock()
	s.w.open[s.key]--
}

func testConfig() Config {
	c := DefaultConfig()
	c.Linger = 20 * time.Millisecond
	c.Reconcile = 10 * time.Millisecond
	return c
}

func newManager(t *testing.T, config Config, api API) (*Manager, *world) {
	t.Helper()
	w := &world{open: map[string]int{}}
	m := &Manager{Config: config, Log: zerolog.New(zerolog.NewTestWriter(t)), Metrics: prometheus.NewRegistry(), Open: w.Open}
	if api != nil {
		m.APIs = map[jt1078.Kind]API{jt1078.KindLive: api}
	}
	if err := m.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		for stream, n := range w.open {
			if n != 0 {
				t.Errorf("%s: %d left open", stream, n)
			}
		}
	})
	return m, w
}

func key(t *testing.T, s string) jt1078.Key {
	t.Helper()
	kind, id, _ := strings.Cut(s, "/")
	k, err := jt1078.ParseKind(kind)
	if err != nil {
		t.Fatal(err)
	}
	streamID, err := jt1078.ParseStreamID(id)
	if err != nil {
		t.Fatal(err)
	}
	return jt1078.Key{Kind: k, ID: streamID}
}

const (
	stream1 = "live/06495940943803"
	stream2 = "live/06495940943804"
)

func TestOneStreamForAllWhoWatch(t *testing.T) {
	m, w := newManager(t, testConfig(), nil)
	play := func(client, stream string) {
		t.Helper()
		if err := m.Play("", client, key(t, stream)); err != nil {
			t.Fatal(err)
		}
	}
	play("a", stream1)
	play("a", stream1) // SRS repeats itself
	play("b", stream1)
	webtest.Eventually(t, "the stream is open", func() bool { return w.count(stream1) == 1 })
	m.Stop("", "a")
	m.Stop("", "a")
	m.Stop("", "nobody")
	time.Sleep(5 * testConfig().Linger)
	if w.count(stream1) != 1 {
		t.Fatal("closed while b watches")
	}
	play("b", stream2) // the same client plays something else
	webtest.Eventually(t, "the first stream is closed", func() bool { return w.count(stream1) == 0 && w.count(stream2) == 1 })
	m.Stop("", "b")
	webtest.Eventually(t, "all are closed", func() bool { return w.count(stream2) == 0 })
	if w.opened != 2 {
		t.Errorf("opened %d times", w.opened)
	}
}

func TestLease(t *testing.T) {
	config := testConfig()
	config.Lease = 50 * time.Millisecond
	m, w := newManager(t, config, nil)
	if err := m.Lease(key(t, stream1)); err != nil {
		t.Fatal(err)
	}
	webtest.Eventually(t, "the stream is open", func() bool { return w.count(stream1) == 1 })
	if err := m.Play("vid-1", "a", key(t, stream1)); err != nil { // takes over
		t.Fatal(err)
	}
	webtest.Eventually(t, "the lease ends", func() bool { return m.count(OriginLease) == 0 })
	if w.count(stream1) != 1 {
		t.Error("closed with the lease, though somebody watches")
	}
	m.Stop("vid-1", "a")
	webtest.Eventually(t, "the stream is closed", func() bool { return w.count(stream1) == 0 })
}

func TestCallbackByHandExpires(t *testing.T) {
	config := testConfig()
	config.Unconfirmed = 30 * time.Millisecond
	config.Lease = 20 * time.Millisecond // so often run looks
	m, w := newManager(t, config, nil)
	if err := m.Play("", "curl", key(t, stream1)); err != nil {
		t.Fatal(err)
	}
	webtest.Eventually(t, "it was opened and is closed", func() bool {
		return m.count(OriginSRS) == 0 && w.count(stream1) == 0
	})
}

// Without an API there is nobody to confirm what SRS tells.
func TestCallbackWithoutAPIDoesNotExpire(t *testing.T) {
	config := testConfig()
	config.Unconfirmed = 30 * time.Millisecond
	config.Lease = 20 * time.Millisecond
	m, w := newManager(t, config, nil)
	for _, server := range []string{"", "vid-1"} {
		if err := m.Play(server, "a", key(t, stream1)); err != nil {
			t.Fatal(err)
		}
	}
	webtest.Eventually(t, "the one by hand expires", func() bool { return m.count(OriginSRS) == 1 })
	time.Sleep(3 * config.Unconfirmed)
	if m.count(OriginSRS) != 1 || w.count(stream1) != 1 {
		t.Fatal("SRS's session expired")
	}
	m.Stop("vid-1", "a")
	webtest.Eventually(t, "the stream is closed", func() bool { return w.count(stream1) == 0 })
}

func TestTooManySessions(t *testing.T) {
	config := testConfig()
	config.Max = 2
	m, _ := newManager(t, config, nil)
	for _, client := range []string{"a", "b", "a"} {
		if err := m.Play("", client, key(t, stream1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Play("", "c", key(t, stream1)); !errors.Is(err, ErrFull) {
		t.Errorf("error %v", err)
	}
	m.Stop("", "a")
	if err := m.Lease(key(t, stream1)); err != nil {
		t.Error(err)
	}
}

// fakeSRS answers as an SRS with the given clients.
type fakeSRS struct {
	*httptest.Server
	mutex   sync.Mutex
	server  string
	clients map[string]string // id to the object's other members
	down    bool
	kicked  []string
	noKicks int // so many kicks fail
	asked   int
}

func newFakeSRS(t *testing.T) (*fakeSRS, *srs.API) {
	f := &fakeSRS{server: "vid-1", clients: map[string]string{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	client := f.Client()
	client.Timeout = webtest.Patience
	return f, &srs.API{URL: f.URL, HTTP: client}
}

func (f *fakeSRS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.asked++
	switch {
	case f.down:
		http.Error(w, "down", http.StatusBadGateway)
	case r.Method == http.MethodDelete && f.noKicks > 0:
		f.noKicks--
		http.Error(w, "busy", http.StatusInternalServerError)
	case r.Method == http.MethodDelete:
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		f.kicked = append(f.kicked, id)
		delete(f.clients, id)
		w.Write([]byte(`{"code":0}`))
	case r.URL.Path == "/api/v1/clients/" && r.URL.Query().Get("count") != "":
		var clients []string
		for id, members := range f.clients {
			clients = append(clients, `{"id":"`+id+`",`+members+`}`)
		}
		w.Write([]byte(`{"code":0,"server":"` + f.server + `","pid":"9","clients":[` + strings.Join(clients, ",") + `]}`))
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeSRS) set(change func()) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	change()
}

func (f *fakeSRS) calls() int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.asked
}

// listed waits until SRS was asked n more times.
func (f *fakeSRS) listed(t *testing.T, n int) {
	t.Helper()
	from := f.calls()
	webtest.Eventually(t, "SRS is asked", func() bool { return f.calls() >= from+n })
}

const (
	flvPlayer = `"url":"/live/06495940943803","name":"06495940943803.flv","type":"flv-play","publish":false,"alive":4000.03`
	hlsPlayer = `"url":"/live/06495940943803","name":"06495940943803.m3u8","type":"hls-play","publish":false,"alive":28.7`
	publisher = `"url":"/live/06495940943804","name":"06495940943804","type":"fmle-publish","publish":true,"alive":28.7`
	stranger  = `"url":"/live/movie","name":"movie","type":"rtmp-play","publish":false,"alive":28.7`
	passing   = `"url":"/live/06495940943804","name":"06495940943804.m3u8","type":"hls-play","publish":false,"alive":0.02`
)

// Who watched before our restart goes on watching; who does not really watch gets nothing.
func TestPlayersOfBeforeOurStartAreAdopted(t *testing.T) {
	f, api := newFakeSRS(t)
	f.clients = map[string]string{"a": flvPlayer, "b": hlsPlayer, "c": publisher, "d": stranger, "e": passing}
	m, w := newManager(t, testConfig(), api)
	webtest.Eventually(t, "the stream is open", func() bool { return w.count(stream1) == 1 })
	f.listed(t, 3)
	if n := m.count(OriginSRS); n != 2 || w.count(stream2) != 0 {
		t.Errorf("%d sessions; the other stream is open %d times", n, w.count(stream2))
	}
	f.set(func() { delete(f.clients, "a") })
	m.Stop("vid-1", "b") // by callback, while the list still has it
	webtest.Eventually(t, "the stream is closed", func() bool { return w.count(stream1) == 0 })
	f.listed(t, 3)
	if n := m.count(OriginSRS); n != 0 {
		t.Errorf("%d sessions: a stopped one came back", n)
	}
}

func TestSessionEndsAfterTwoMisses(t *testing.T) {
	f, api := newFakeSRS(t)
	f.clients = map[string]string{"a": flvPlayer}
	m, w := newManager(t, testConfig(), api)
	webtest.Eventually(t, "the first list has come", func() bool { return m.count(OriginSRS) == 1 })
	for _, play := range [][2]string{{"vid-1", "a"}, {"vid-1", "lost"}, {"", "curl"}, {"vid-of-an-edge", "b"}} {
		if err := m.Play(play[0], play[1], key(t, stream1)); err != nil {
			t.Fatal(err)
		}
	}
	webtest.Eventually(t, "the lost one is ended", func() bool { return m.count(OriginSRS) == 3 })
	f.listed(t, 4)
	if m.count(OriginSRS) != 3 || w.count(stream1) != 1 {
		t.Errorf("%d sessions", m.count(OriginSRS))
	}
}

func TestSRSRestart(t *testing.T) {
	f, api := newFakeSRS(t)
	f.clients = map[string]string{"a": flvPlayer}
	config := testConfig()
	config.SRSLost = time.Hour
	m, w := newManager(t, config, api)
	webtest.Eventually(t, "the player is adopted", func() bool { return m.count(OriginSRS) == 1 })
	f.set(func() { f.down = true })
	f.listed(t, 3)
	if m.count(OriginSRS) != 1 {
		t.Fatal("a session ended because SRS could not be asked")
	}
	f.set(func() { f.down, f.server, f.clients = false, "vid-2", map[string]string{} })
	m.Check(jt1078.KindLive)
	webtest.Eventually(t, "the session of the old process is ended", func() bool { return m.count(OriginSRS) == 0 && w.count(stream1) == 0 })
}

// Two restarts may fall between two lists, and a server may die before it made its first.
func TestSRSRestartsTwice(t *testing.T) {
	f, api := newFakeSRS(t)
	f.clients = map[string]string{"a": flvPlayer}
	f.down = true
	config := testConfig()
	config.SRSLost = time.Hour
	m, w := newManager(t, config, api)
	play := func(server, client string) {
		t.Helper()
		if err := m.Play(server, client, key(t, stream1)); err != nil {
			t.Fatal(err)
		}
	}
	play("vid-0", "dead before our first list")
	f.listed(t, 1)
	f.set(func() { f.down = false })
	m.Check(jt1078.KindLive)
	webtest.Eventually(t, "only the listed player is left", func() bool {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		return len(m.sessions) == 1 && m.sessions[Client{Server: "vid-1", ID: "a"}] != nil
	})
	play("vid-edge", "b")
	f.listed(t, 3) // it has been there for a while
	f.set(func() { f.down = true })
	f.listed(t, 1)
	play("vid-2", "dead before its first list")
	f.set(func() { f.down, f.server, f.clients = false, "vid-3", map[string]string{} })
	f.listed(t, 1)
	play("vid-1", "late")
	f.set(func() { f.server = "vid-4" })
	f.listed(t, 1)
	f.set(func() { f.server = "vid-5" })
	m.Check(jt1078.KindLive)
	webtest.Eventually(t, "the edge's session is left", func() bool { return m.count(OriginSRS) == 1 })
	f.listed(t, 3)
	if m.count(OriginSRS) != 1 || w.count(stream1) != 1 {
		t.Errorf("%d sessions", m.count(OriginSRS))
	}
}

// Where there is no room for one more player, those that have a session keep it.
func TestPlayerThatCannotBeAdopted(t *testing.T) {
	f, api := newFakeSRS(t)
	config := testConfig()
	config.Max = 2
	m, w := newManager(t, config, api)
	f.set(func() { f.clients = map[string]string{"a": flvPlayer, "b": flvPlayer} })
	webtest.Eventually(t, "two are adopted", func() bool { return m.count(OriginSRS) == 2 })
	f.set(func() {
		for _, id := range []string{"c", "d", "e", "f", "g"} {
			f.clients[id] = flvPlayer
		}
	})
	f.listed(t, 20) // in any order
	if n := testutil.CollectAndCount(m.metrics.ended); n != 0 || m.count(OriginSRS) != 2 || w.count(stream1) != 1 {
		t.Errorf("%d sessions, some ended", m.count(OriginSRS))
	}
}

func TestSRSLost(t *testing.T) {
	f, api := newFakeSRS(t)
	f.clients = map[string]string{"a": flvPlayer}
	config := testConfig()
	config.SRSLost = 50 * time.Millisecond
	m, w := newManager(t, config, api)
	webtest.Eventually(t, "the player is adopted", func() bool { return w.count(stream1) == 1 })
	w.mutex.Lock()
	w.up = true
	w.mutex.Unlock()
	f.set(func() { f.down = true })
	f.listed(t, 10)
	if m.count(OriginSRS) != 1 {
		t.Fatal("a session ended although SRS takes the stream")
	}
	w.mutex.Lock()
	w.up = false
	w.mutex.Unlock()
	webtest.Eventually(t, "the session is ended", func() bool { return m.count(OriginSRS) == 0 })
}

func TestPlayersThatWaitInVainAreDisconnected(t *testing.T) {
	f, api := newFakeSRS(t)
	f.clients = map[string]string{"a": flvPlayer}
	config := testConfig()
	config.NoVideo = 100 * time.Millisecond
	f.noKicks = 2 // those are tried again soon
	m, w := newManager(t, config, api)
	if err := m.Play("", "curl", key(t, stream1)); err != nil {
		t.Fatal(err)
	}
	webtest.Eventually(t, "the player is disconnected", func() bool {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		return len(f.kicked) == 1 && f.kicked[0] == "a"
	})
	w.mutex.Lock()
	w.lastVideo = time.Now().Add(time.Hour) // pictures come
	w.mutex.Unlock()
	f.set(func() { f.clients["b"] = flvPlayer })
	f.listed(t, 20)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if len(f.kicked) != 1 {
		t.Errorf("disconnected %v", f.kicked)
	}
}

// The client list of a real SRS: three players and a publisher of one stream.
func TestRecordedClientList(t *testing.T) {
	dir := os.Getenv("RECORDINGS_DIR")
	if dir == "" {
		t.Skip("RECORDINGS_DIR is not set: no recordings")
	}
	body, err := os.ReadFile(filepath.Join(dir, "srs", "api-v1-clients.json"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }))
	defer server.Close()
	api := &srs.API{URL: server.URL, HTTP: server.Client()}
	listing, err := api.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if listing.Server != "vid-158b674" || len(listing.Clients) != 5 {
		t.Fatalf("server %q, %d clients", listing.Server, len(listing.Clients))
	}
	for _, c := range listing.Clients {
		if c.App() != "live" || c.Stream() != "06495940943803" {
			text, _ := json.Marshal(c)
			t.Errorf("%s: app %q, stream %q", text, c.App(), c.Stream())
		}
	}
}
