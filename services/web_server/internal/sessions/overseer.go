package sessions

import (
	"context"
	"slices"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/web_server/internal/srs"
)

const (
	// callTimeout bounds a call of SRS's API.
	callTimeout = 5 * time.Second
	// kickAgain is when a client that was disconnected and is still there is disconnected anew.
	kickAgain = 15 * time.Second
	// missesToEnd: one list may have been made while the player was changing its connection.
	missesToEnd = 2
	// adoptAfter: a player that SRS has had for less is still on its way to us by on_play, or is a request of an HLS
	// player for a list, which SRS shows as a client for a moment.
	adoptAfter = 5.0 // seconds
	// retryMin is the first wait after a call that failed; it doubles up to Config.Reconcile.
	retryMin = time.Second
	// maxServers is how many ids of restarted servers are remembered; their sessions have long ended by then.
	maxServers = 64
)

// overseer keeps the sessions of one SRS server true to its client list, and disconnects the players that wait for a
// vehicle in vain. Only run touches its fields.
type overseer struct {
	manager *Manager
	kind    jt1078.Kind
	api     API
	check   chan struct{}

	// servers are the ids that this API has answered with, the latest last: SRS makes a new one at each start, and the
	// sessions of those that are gone are judged by the list of the one that is there. Ids that it never answered with
	// are of other servers, such as edges, and their sessions none of its business.
	servers   []string
	listed    time.Time // when the last list that came was asked for
	next      time.Time
	retry     time.Duration
	reachable bool
	lostSince time.Time
	full      bool // a player got no session, and it was logged
}

func (o *overseer) run() {
	ticker := time.NewTicker(min(time.Second, o.manager.Config.Reconcile))
	defer ticker.Stop()
	o.lostSince = time.Now()
	for {
		if now := time.Now(); !now.Before(o.next) {
			o.reconcile(now)
		}
		if o.reachable {
			o.kickWaiting(time.Now())
		}
		select {
		case <-ticker.C:
		case <-o.check:
			o.next = time.Time{}
		case <-o.manager.ctx.Done():
			return
		}
	}
}

func (o *overseer) reconcile(asked time.Time) {
	ctx, cancel := context.WithTimeout(o.manager.ctx, callTimeout)
	defer cancel()
	listing, err := o.api.Clients(ctx)
	if o.manager.ctx.Err() != nil {
		return
	}
	log := o.manager.Log.With().Stringer("kind", o.kind).Logger()
	if err != nil {
		o.manager.metrics.reconciled.WithLabelValues("failed").Inc()
		if o.reachable || o.retry == 0 {
			log.Warn().Err(err).Msg("SRS does not list its clients; sessions are kept as they are")
		}
		if o.reachable {
			o.reachable, o.lostSince = false, asked
		}
		o.retry = min(max(2*o.retry, retryMin), o.manager.Config.Reconcile)
		o.next = asked.Add(o.retry)
		if asked.Sub(o.lostSince) > o.manager.Config.SRSLost {
			o.manager.endUnpublished(o.kind)
		}
		return
	}
	o.manager.metrics.reconciled.WithLabelValues("ok").Inc()
	if !o.reachable {
		log.Info().Str("server", listing.Server).Int("clients", len(listing.Clients)).Msg("SRS lists its clients")
	}
	o.reachable, o.retry = true, 0
	o.next = asked.Add(o.manager.Config.Reconcile)
	o.judge(listing, asked)
	o.listed = asked
}

// judge makes the sessions of one server what its list says. asked is when the list was asked for.
func (o *overseer) judge(listing *srs.Listing, asked time.Time) {
	m := o.manager
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if n := len(o.servers); n == 0 || o.servers[n-1] != listing.Server {
		o.restarted(listing.Server, asked)
	}
	listed := make(map[Client]struct{}, len(listing.Clients))
	refused := 0
	for i := range listing.Clients {
		c := &listing.Clients[i]
		if c.Publish || c.App() != o.kind.String() {
			continue
		}
		id, err := jt1078.ParseStreamID(c.Stream())
		if err != nil {
			continue // another's stream on the same SRS
		}
		client := Client{Origin: OriginSRS, Server: listing.Server, ID: c.ID}
		listed[client] = struct{}{}
		if _, gone := m.departed[client]; gone {
			continue
		}
		if s, known := m.sessions[client]; known {
			s.confirm()
			continue
		}
		if c.Alive < adoptAfter {
			continue
		}
		key := jt1078.Key{Kind: o.kind, ID: id}
		if err := m.addLocked(client, key); err != nil {
			if refused++; !o.full { // it is the same at every look
				o.full = true
				m.Log.Warn().Err(err).Stringer("stream", key).Str("client", c.ID).Msg("a player that SRS lists gets no session, as may others")
			}
			continue
		}
		m.sessions[client].confirm()
		m.metrics.adopted.Inc()
		m.Log.Info().Stringer("stream", key).Str("client", c.ID).Str("type", c.Type).Msg("session of a player that SRS lists and that we did not know")
	}
	o.full = refused > 0
	for client, s := range m.sessions {
		judged := client.Origin == OriginSRS && (s.stranded || slices.Contains(o.servers, client.Server))
		if _, there := listed[client]; there || !judged || client.Server == "" || s.key.Kind != o.kind || !s.since.Before(asked) {
			continue
		}
		s.misses++
		if s.misses >= missesToEnd {
			m.remove(client, "unlisted")
		}
	}
}

// restarted notes the id of a server that has come since the last list. One that came and went in between never made a
// list: sessions of that time with an id that nobody answers to are its. Should one be an edge's after all, its stream
// is held nonetheless, as the edge is itself a player in the list. The caller holds the manager's mutex.
func (o *overseer) restarted(server string, asked time.Time) {
	o.servers = append(slices.DeleteFunc(o.servers, func(s string) bool { return s == server }), server)
	if len(o.servers) > maxServers {
		o.servers = slices.Delete(o.servers, 0, 1)
	}
	for client, s := range o.manager.sessions {
		if client.Origin == OriginSRS && s.key.Kind == o.kind && !s.since.Before(o.listed) && s.since.Before(asked) {
			s.stranded = true
		}
	}
}

// endUnpublished ends the sessions of an SRS that cannot be reached in any way.
func (m *Manager) endUnpublished(kind jt1078.Kind) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for client, s := range m.sessions {
		if client.Origin != OriginSRS || client.Server == "" || s.key.Kind != kind || time.Since(s.since) < m.Config.SRSLost {
			continue
		}
		if stream := m.interest[s.key].stream; stream == nil || !stream.Publishing() {
			m.remove(client, "srs_lost")
		}
	}
}

// kickWaiting disconnects the players that have had no picture for Config.NoVideo, so that they show an error and not
// an endless spinner.
func (o *overseer) kickWaiting(now time.Time) {
	for _, client := range o.waiting(now) {
		ctx, cancel := context.WithTimeout(o.manager.ctx, callTimeout)
		err := o.api.Kick(ctx, client.ID)
		cancel()
		if err != nil {
			o.manager.metrics.kicks.WithLabelValues("failed").Inc()
			o.manager.Log.Warn().Err(err).Str("client", client.ID).Msg("a player that waits in vain could not be disconnected")
			return // SRS is not well; the next second will do
		}
		o.manager.metrics.kicks.WithLabelValues("ok").Inc()
		o.manager.Log.Info().Stringer("kind", o.kind).Str("client", client.ID).
			Msg("no picture from the vehicle: the player was disconnected (sessions.no_video)")
		o.manager.kicked(client, now)
	}
}

// waiting returns the clients of the server that are to be disconnected.
func (o *overseer) waiting(now time.Time) []Client {
	m := o.manager
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var clients []Client
	for client, s := range m.sessions {
		if client.Origin != OriginSRS || client.Server != o.servers[len(o.servers)-1] || client.Server == "" ||
			s.key.Kind != o.kind || now.Sub(s.kicked) < kickAgain {
			continue
		}
		stream := m.interest[s.key].stream
		if stream == nil {
			continue
		}
		since := s.since
		if last := stream.LastVideo(); last.After(since) {
			since = last
		}
		if now.Sub(since) >= m.Config.NoVideo {
			clients = append(clients, client)
		}
	}
	return clients
}

// kicked notes that SRS has disconnected a client; its session ends by callback or by the next lists.
func (m *Manager) kicked(client Client, now time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if s, ok := m.sessions[client]; ok {
		s.kicked = now
	}
}
