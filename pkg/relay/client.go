package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
)

// Resolver finds the node that has a stream, or that shall have it (registry.Directory does). When it fails, the node
// that had the stream last is tried; without one the handler is told StageUnreachable.
type Resolver interface {
	Resolve(ctx context.Context, key jt1078.Key) (address string, err error)
}

// Client takes streams from jt1078_server nodes, all streams of a node over one connection. Fill in the exported
// fields, call Initialize, and Close at the end.
type Client struct {
	Config Config
	// Name says who asks, in jt1078_server's log: the service and its host.
	Name string
	Log  zerolog.Logger
	// Metrics gets the relay_client_* metrics; nil means none.
	Metrics prometheus.Registerer
	// Resolver is optional: without it every stream comes from Config.Address.
	Resolver Resolver

	ctx           context.Context
	cancel        context.CancelFunc
	metrics       *metrics
	subscriptions sync.WaitGroup

	mutex  sync.Mutex // guards nodes and closed
	nodes  map[string]*node
	closed bool
	static *node // the node of Config.Address, kept connected; nil with a Resolver
}

// Initialize starts to connect; whether the node answers is Ready's to say.
func (c *Client) Initialize() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return fmt.Errorf("relay client's metrics: %w", err)
	}
	c.metrics = m
	c.nodes = make(map[string]*node)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if c.Resolver == nil {
		if c.static, err = c.acquire(c.Config.Address); err != nil {
			c.cancel()
			return err
		}
	}
	return nil
}

// Close ends every subscription and returns when the last handler has.
func (c *Client) Close() {
	c.mutex.Lock()
	closed := c.closed
	c.closed = true
	c.mutex.Unlock()
	c.cancel()
	c.subscriptions.Wait()
	if !closed && c.static != nil {
		c.release(c.static)
	}
}

// Ready is nil when a node answers. With a Resolver it is nil too while no stream is wanted.
func (c *Client) Ready() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return errors.New("the relay client is closed")
	}
	var reason error
	for _, n := range c.nodes {
		err := n.ready()
		if err == nil {
			return nil
		}
		reason = err
	}
	return reason
}

// Subscribe begins to take a stream for h, and goes on, whatever happens to the node, until the subscription or the
// client is closed.
func (c *Client) Subscribe(key jt1078.Key, h Handler) *Subscription {
	ctx, cancel := context.WithCancel(c.ctx)
	s := &Subscription{
		client:  c,
		key:     key,
		handler: h,
		log:     c.Log.With().Stringer("stream", key).Logger(),
		cancel:  cancel,
		done:    make(chan struct{}),
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		cancel()
		close(s.done)
		return s
	}
	c.subscriptions.Add(1)
	go func() {
		defer c.subscriptions.Done()
		s.run(ctx)
	}()
	return s
}

// acquire returns the node at address, connecting to it if nobody uses it yet.
func (c *Client) acquire(address string) (*node, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	n := c.nodes[address]
	if n == nil {
		var err error
		if n, err = newNode(address, &c.Config); err != nil {
			return nil, fmt.Errorf("relay %s: %w", address, err)
		}
		c.nodes[address] = n
	}
	n.users++
	return n, nil
}

// release gives a node back; the last one to do so closes its connection.
func (c *Client) release(n *node) {
	c.mutex.Lock()
	n.users--
	last := n.users == 0
	if last {
		delete(c.nodes, n.address)
	}
	c.mutex.Unlock()
	if last {
		n.close()
	}
}
