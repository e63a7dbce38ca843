package sessions

import (
	"context"
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
)

// overseer keeps the sessions of one SRS server true to its client list, and disconnects the players that wait for a
// vehicle in vain. Only run touches its fields.
type overseer struct {
	manager *Manager
	kind    jt1078.Kind
	api     API
	check   chan struct{}

	// server is the id that SRS gave last, previous the one before: sessions of a server that has restarted with a
	// new id are judged by the new list.
	server, previous string
	next             time.Time
	retry            time.Duration
	reachable        bool
	lostSince        time.Time
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
	if o.server != listing.Server {
		o.server, o.previous = listing.Server, o.server
	}
	o.manager.reconcile(o.kind, listing, o.previous, asked)
}

// reconcile makes the sessions of one server what its list says. asked is when the list was asked for.
func (m *Manager) reconcile(kind jt1078.Kind, listing *srs.Listing, previous string, asked time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	listed := make(map[Client]struct{}, len(listing.Clients))
	for i := range listing.Clients {
		c := &listing.Clients[i]
		if c.Publish || c.App() != kind.String() {
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
		key := jt1078.Key{Kind: kind, ID: id}
		if err := m.addLocked(client, key); err != nil {
			m.Log.Warn().Err(err).Msg("a player that SRS lists gets no session")
			break
		}
		m.sessions[client].confirm()
		m.metrics.adopted.Inc()
		m.Log.Info().Stringer("stream", key).Str("client", c.ID).Str("type", c.Type).Msg("session of a player that SRS lists and that we did not know")
	}
	for client, s := range m.sessions {
		judged := client.Origin == OriginSRS && client.Server != "" && (client.Server == listing.Server || client.Server == previous)
		if _, there := listed[client]; there || !judged || s.key.Kind != kind || !s.since.Before(asked) {
			continue
		}
		s.misses++
		if s.misses >= missesToEnd {
			m.remove(client, "unlisted")
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
	for _, client := range o.manager.waiting(o.kind, o.server, now) {
		ctx, cancel := context.WithTimeout(o.manager.ctx, callTimeout)
		err := o.api.Kick(ctx, client.ID)
		cancel()
		if err != nil {
			o.manager.metrics.kicks.WithLabelValues("failed").Inc()
			o.manager.Log.Warn().Err(err).Str("client", client.ID).Msg("a player that waits in vain could not be disconnected")
			return // SRS is not well; the next second will do
		}
		o.manager.metrics.kicks.WithLabelValues("ok").Inc()
	}
}

// waiting returns the clients of the server that are to be disconnected, and notes that they were.
func (m *Manager) waiting(kind jt1078.Kind, server string, now time.Time) []Client {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var clients []Client
	for client, s := range m.sessions {
		if client.Origin != OriginSRS || client.Server != server || server == "" || s.key.Kind != kind || now.Sub(s.kicked) < kickAgain {
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
		if now.Sub(since) < m.Config.NoVideo {
			continue
		}
		s.kicked = now
		clients = append(clients, client)
		m.Log.Info().Stringer("stream", s.key).Str("client", client.ID).Dur("waited", now.Sub(since)).
			Msg("no picture from the vehicle: the player is disconnected (sessions.no_video)")
	}
	return clients
}
