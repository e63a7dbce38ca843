// Package sessions knows who watches what through SRS: players that SRS told of by its callbacks or its client list,
// and leases of play requests. As long as a stream has one of them it is held open; the last one gone releases it.
package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/web_server/internal/srs"
)

// ErrFull refuses a session beyond Config.Max.
var ErrFull = errors.New("too many sessions (sessions.max)")

// Stream is what a session holds open: the subscription to the vehicle's stream and its publish to SRS.
type Stream interface {
	// LastVideo is when the last picture came from the vehicle, zero before the first.
	LastVideo() time.Time
	// Publishing reports whether SRS takes the stream now.
	Publishing() bool
	// Close ends it and returns when it has ended. It must be quick.
	Close()
}

// API is what is used of an SRS server's HTTP API.
type API interface {
	Clients(ctx context.Context) (*srs.Listing, error)
	Kick(ctx context.Context, clientID string) error
}

// Manager owns the sessions and the streams that they hold open.
type Manager struct {
	Config  Config
	Log     zerolog.Logger
	Metrics prometheus.Registerer
	// Open starts a stream. It must not block.
	Open func(jt1078.Key) Stream
	// APIs are the SRS servers whose client lists are the truth, by the kind of stream that they carry.
	APIs map[jt1078.Kind]API

	metrics   metrics
	ctx       context.Context
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	changed   chan struct{} // wakes run
	overseers map[jt1078.Kind]*overseer

	mutex    sync.Mutex // guards what follows
	sessions map[Client]*session
	interest map[jt1078.Key]*interest
	// departed are clients that stopped a moment ago: a client list that was on its way then still has them.
	departed map[Client]time.Time
}

// Client is what a session is known by.
type Client struct {
	Origin Origin
	// Server is SRS's server_id, empty when the callback bore none.
	Server string
	ID     string
}

// Origin is what made a session.
type Origin uint8

// The origins.
const (
	OriginSRS Origin = iota
	OriginLease
)

func (o Origin) String() string {
	if o == OriginLease {
		return "lease"
	}
	return "srs"
}

type session struct {
	key     jt1078.Key
	since   time.Time
	expires time.Time // zero: SRS's client list decides
	// confirmed: a client list had it once.
	confirmed bool
	// stranded: its server has gone before it answered for the first time.
	stranded bool
	misses   int // client lists in a row that did not have it
	kicked   time.Time
}

// confirm notes that SRS lists the client.
func (s *session) confirm() { s.confirmed, s.expires, s.misses = true, time.Time{}, 0 }

// interest is how many sessions a stream has, and the stream itself once run has opened it.
type interest struct {
	sessions   int
	emptySince time.Time
	stream     Stream
}

// departedFor is how long a stop is remembered: longer than a client list can take.
const departedFor = time.Minute

// Initialize starts the manager.
func (m *Manager) Initialize() error {
	m.metrics.register(m.Metrics, m)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.changed = make(chan struct{}, 1)
	m.sessions = make(map[Client]*session)
	m.interest = make(map[jt1078.Key]*interest)
	m.departed = make(map[Client]time.Time)
	m.overseers = make(map[jt1078.Kind]*overseer)
	m.wg.Go(m.run)
	for kind, api := range m.APIs {
		o := &overseer{manager: m, kind: kind, api: api, check: make(chan struct{}, 1)}
		m.overseers[kind] = o
		m.wg.Go(o.run)
	}
	return nil
}

// Close releases every stream and returns when all have ended.
func (m *Manager) Close() {
	m.cancel()
	m.wg.Wait()
}

// Play notes that an SRS client plays a stream. The same client again is the same session, another stream its next one.
func (m *Manager) Play(server, clientID string, key jt1078.Key) error {
	return m.add(Client{Origin: OriginSRS, Server: server, ID: clientID}, key)
}

// Stop notes that an SRS client has stopped. That there was no such session is no error: callbacks repeat and get lost.
func (m *Manager) Stop(server, clientID string) {
	client := Client{Origin: OriginSRS, Server: server, ID: clientID}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if len(m.departed) < m.Config.Max {
		m.departed[client] = time.Now()
	}
	m.remove(client, "stopped")
}

// Lease holds a stream for Config.Lease from now.
func (m *Manager) Lease(key jt1078.Key) error {
	return m.add(Client{Origin: OriginLease, ID: key.String()}, key)
}

// Check has SRS's client list looked at soon: it may have restarted.
func (m *Manager) Check(kind jt1078.Kind) {
	if o, ok := m.overseers[kind]; ok {
		poke(o.check)
	}
}

func (m *Manager) add(client Client, key jt1078.Key) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.departed, client)
	return m.addLocked(client, key)
}

func (m *Manager) addLocked(client Client, key jt1078.Key) error {
	now := time.Now()
	s, known := m.sessions[client]
	switch {
	case known && s.key != key:
		m.remove(client, "switched")
		fallthrough
	case !known:
		if len(m.sessions) >= m.Config.Max {
			return fmt.Errorf("%w: there are %d", ErrFull, len(m.sessions))
		}
		s = &session{key: key, since: now}
		m.sessions[client] = s
		stream, ok := m.interest[key]
		if !ok {
			stream = &interest{}
			m.interest[key] = stream
		}
		stream.sessions++
		poke(m.changed)
	}
	s.misses = 0
	switch {
	case client.Origin == OriginLease:
		s.expires = now.Add(m.Config.Lease)
	case !s.confirmed && (client.Server == "" || m.APIs[key.Kind] != nil): // where nobody can confirm it, on_stop alone ends it
		s.expires = now.Add(m.Config.Unconfirmed)
	}
	return nil
}

// remove ends a session. The caller holds the mutex.
func (m *Manager) remove(client Client, reason string) {
	s, ok := m.sessions[client]
	if !ok {
		return
	}
	delete(m.sessions, client)
	stream := m.interest[s.key]
	stream.sessions--
	if stream.sessions == 0 {
		stream.emptySince = time.Now()
		poke(m.changed)
	}
	m.metrics.ended.WithLabelValues(reason).Inc()
	m.Log.Info().Stringer("stream", s.key).Stringer("origin", client.Origin).Str("client", client.ID).Str("reason", reason).
		Int("remaining", stream.sessions).Msg("session ended")
}

// run opens and closes streams; it is the only one that does.
func (m *Manager) run() {
	ticker := time.NewTicker(min(time.Second, m.Config.Lease, max(m.Config.Linger, 10*time.Millisecond)))
	defer ticker.Stop()
	for {
		select {
		case <-m.changed:
		case <-ticker.C:
			m.expire(time.Now())
		case <-m.ctx.Done():
			m.closeAll()
			return
		}
		m.openAndClose(time.Now())
	}
}

func (m *Manager) expire(now time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for client, s := range m.sessions {
		if !s.expires.IsZero() && now.After(s.expires) {
			m.remove(client, "expired")
		}
	}
	for client, at := range m.departed {
		if now.Sub(at) > departedFor {
			delete(m.departed, client)
		}
	}
}

func (m *Manager) openAndClose(now time.Time) {
	var ending []Stream
	m.mutex.Lock()
	for key, i := range m.interest {
		switch {
		case i.sessions > 0 && i.stream == nil:
			i.stream = m.Open(key)
		case i.sessions == 0 && now.Sub(i.emptySince) >= m.Config.Linger:
			delete(m.interest, key)
			if i.stream != nil {
				ending = append(ending, i.stream)
			}
		}
	}
	m.mutex.Unlock()
	for _, stream := range ending {
		stream.Close()
	}
}

func (m *Manager) closeAll() {
	m.mutex.Lock()
	streams := m.interest
	m.interest = make(map[jt1078.Key]*interest)
	m.sessions = make(map[Client]*session)
	m.mutex.Unlock()
	for _, i := range streams {
		if i.stream != nil {
			i.stream.Close()
		}
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
