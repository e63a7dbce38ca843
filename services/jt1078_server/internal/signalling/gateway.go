package signalling

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
	"multi_process_server/pkg/service"
)

// A dead peer is noticed by the kernel after 60 + 4 × 15 s, long before most vehicles' heartbeats are missed.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

// Gateway is the platform's side of JT/T 808: vehicles connect, register, authenticate and stay; commands go to them.
// It is safe for concurrent use.
//
// A vehicle costs one goroutine that reads and a buffer of 512 bytes. Whoever sends writes, one at a
// time and with a deadline: there is no second goroutine, no timer and no queue per vehicle.
type Gateway struct {
	Config  GatewayConfig
	Log     zerolog.Logger
	Metrics prometheus.Registerer

	listener net.Listener
	metrics  *gatewayMetrics
	stopped  chan struct{}
	group    sync.WaitGroup
	held     atomic.Int64 // bytes of incomplete messages of all connections

	mutex       sync.RWMutex // guards what follows
	closed      bool
	full        bool // connections are being refused; keeps the log quiet
	connections map[*connection]struct{}
	vehicles    map[jt1078.SIM]*connection // authenticated ones
}

// Initialize starts to listen.
func (g *Gateway) Initialize() error {
	listener, err := service.Listen("gateway.address", g.Config.Address)
	if err != nil {
		return err
	}
	g.listener = listener
	g.metrics = newGatewayMetrics(g.Metrics)
	g.stopped = make(chan struct{})
	g.connections = make(map[*connection]struct{})
	g.vehicles = make(map[jt1078.SIM]*connection)
	g.group.Go(g.accept)
	return nil
}

// Close ends all connections. Commands under way fail with ErrInterrupted.
func (g *Gateway) Close() {
	g.mutex.Lock()
	g.closed = true
	for c := range g.connections {
		c.end(endShutdown)
	}
	g.mutex.Unlock()
	close(g.stopped)
	g.listener.Close()
	g.group.Wait()
}

// Addr is where the gateway listens.
func (g *Gateway) Addr() net.Addr { return g.listener.Addr() }

func (g *Gateway) accept() {
	var pause time.Duration
	for {
		socket, err := g.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, most likely: it passes when connections end
			if pause == 0 {
				g.Log.Error().Err(err).Msg("cannot accept connections; will try on")
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
			case <-g.stopped:
				return
			}
		default:
			pause = 0
			g.admit(socket)
		}
	}
}

// admit starts to serve a connection, or closes it where there are too many.
func (g *Gateway) admit(socket net.Conn) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if full := len(g.connections) >= g.Config.MaxConnections; full || g.closed {
		socket.Close()
		if full {
			g.metrics.refused.Inc()
			if !g.full {
				g.Log.Warn().Int("connections", len(g.connections)).Stringer("remote", socket.RemoteAddr()).
					Msg("refusing connections, gateway.max_connections is reached")
			}
			g.full = true
		}
		return
	}
	g.full = false
	if tcp, ok := socket.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // without it the idle timeout alone finds dead peers
	}
	c := newConnection(g, socket)
	g.connections[c] = struct{}{}
	g.metrics.connections.Inc()
	g.group.Go(c.serve)
}

// adopt makes c the vehicle's connection and ends the one before.
func (g *Gateway) adopt(c *connection, sim jt1078.SIM) (replaced *connection) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	replaced = g.vehicles[sim]
	g.vehicles[sim] = c
	g.metrics.vehicles.Set(float64(len(g.vehicles)))
	if replaced == c {
		return nil
	}
	if replaced != nil {
		replaced.end(endReplaced)
	}
	return replaced
}

// release undoes adopt, unless a newer connection has taken the vehicle over.
func (g *Gateway) release(c *connection, sim jt1078.SIM) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.vehicles[sim] == c {
		delete(g.vehicles, sim)
		g.metrics.vehicles.Set(float64(len(g.vehicles)))
	}
}

// forget is the last thing a connection does.
func (g *Gateway) forget(c *connection) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.connections, c)
	g.metrics.connections.Dec()
}

func (g *Gateway) vehicle(sim jt1078.SIM) *connection {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.vehicles[sim]
}

// Online reports whether the vehicle is connected and authenticated.
func (g *Gateway) Online(sim jt1078.SIM) bool { return g.vehicle(sim) != nil }

// Command sends a message to a vehicle and waits for its general reply, sending again after each gateway.reply_timeout.
// It is ErrOffline, ErrInterrupted, ErrTimeout, a *RejectedError, or ctx's error; or jt808's when the body cannot be written.
func (g *Gateway) Command(ctx context.Context, sim jt1078.SIM, body jt808.Body) error {
	c := g.vehicle(sim)
	if c == nil {
		return ErrOffline
	}
	return c.command(ctx, body)
}

// LocalHost is the address by which a connected vehicle reaches this server.
func (g *Gateway) LocalHost(sim jt1078.SIM) (host string, ok bool) {
	c := g.vehicle(sim)
	if c == nil {
		return "", false
	}
	host, _, err := net.SplitHostPort(c.socket.LocalAddr().String())
	return host, err == nil
}

// Vehicle is what is known of a connected vehicle.
type Vehicle struct {
	SIM         jt1078.SIM
	Version     jt808.Version // of its header: Version2013 stands for 2011, too
	Remote      string
	ConnectedAt time.Time // when it authenticated
	SeenAt      time.Time // its last message
	// Location is the last one that it reported, without its additional items. LocatedAt is when that came, zero for none.
	Location  jt808.Location
	LocatedAt time.Time
}

// Vehicles lists the connected vehicles, in no order.
func (g *Gateway) Vehicles() []Vehicle {
	g.mutex.RLock()
	connections := make([]*connection, 0, len(g.vehicles))
	for _, c := range g.vehicles {
		connections = append(connections, c)
	}
	g.mutex.RUnlock()
	vehicles := make([]Vehicle, len(connections))
	for i, c := range connections {
		vehicles[i] = c.describe()
	}
	return vehicles
}

// Vehicle describes one connected vehicle.
func (g *Gateway) Vehicle(sim jt1078.SIM) (v Vehicle, ok bool) {
	c := g.vehicle(sim)
	if c == nil {
		return Vehicle{}, false
	}
	return c.describe(), true
}
