package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
)

const (
	// retryAfter is the pause after a heartbeat that failed.
	retryAfter = time.Second
	// beatTimeout is for one heartbeat, farewellTimeout for the last words.
	beatTimeout     = 4 * time.Second
	farewellTimeout = time.Second
	// batch is how many streams one script call claims: Redis does nothing else meanwhile.
	batch = 200
)

// Announcer keeps a jt1078_server in the registry. Fill in the exported fields, call Initialize, and Close at the end.
type Announcer struct {
	Redis *redis.Client
	// Node is announced; its Streams are filled in.
	Node Node
	// Streams lists the streams that the node has now. It is called every few seconds.
	Streams func() []jt1078.Key
	Log     zerolog.Logger
	// Metrics gets the jt1078_registry_* metrics; nil means none.
	Metrics prometheus.Registerer

	every    time.Duration // between heartbeats
	cancel   context.CancelFunc
	done     chan struct{}
	problem  atomic.Pointer[error] // of the latest heartbeat
	beats    *prometheus.CounterVec
	contests prometheus.Gauge

	// Belongs to the loop: what this node owns by its latest heartbeat.
	owned map[jt1078.Key]struct{}
}

// Initialize begins to announce. Redis need not be there yet; Ready says whether it is.
func (a *Announcer) Initialize() error {
	if a.Node.Name == "" || a.Node.RelayAddress == "" {
		return errors.New("registry: a node needs a name and a relay address")
	}
	a.beats = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "jt1078_registry_heartbeats_total",
		Help: "Heartbeats of this node to Redis, by result: ok, failed.",
	}, []string{"result"})
	a.contests = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "jt1078_registry_contested_streams",
		Help: "Streams that this node has while the registry names another node, where consumers look for them.",
	})
	if a.Metrics != nil {
		for _, collector := range []prometheus.Collector{a.beats, a.contests} {
			if err := a.Metrics.Register(collector); err != nil {
				return fmt.Errorf("registry's metrics: %w", err)
			}
		}
	}
	if a.every == 0 {
		a.every = heartbeat
	}
	none := errors.New("not announced yet")
	a.problem.Store(&none)
	a.owned = make(map[jt1078.Key]struct{})
	a.done = make(chan struct{})
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(a.done)
		a.run(ctx)
	}()
	return nil
}

// Ready is nil while the registry knows of this node.
func (a *Announcer) Ready() error {
	if err := a.problem.Load(); err != nil {
		return fmt.Errorf("Redis %s: %w; consumers cannot find this node", a.Redis.Options().Addr, *err)
	}
	return nil
}

// Close takes the node and its streams out of the registry, if Redis is there, so that consumers turn to another at
// once.
func (a *Announcer) Close() {
	a.cancel()
	<-a.done
}

func (a *Announcer) run(ctx context.Context) {
	for {
		wait := a.every
		if err := a.beat(ctx); err == nil {
			a.beats.WithLabelValues("ok").Inc()
			if a.problem.Swap(nil) != nil {
				a.Log.Info().Str("node", a.Node.Name).Msg("registered in Redis")
			}
		} else if ctx.Err() == nil {
			wait = min(wait, retryAfter)
			a.beats.WithLabelValues("failed").Inc()
			before := a.problem.Swap(&err)
			if before == nil || (*before).Error() != err.Error() {
				a.Log.Warn().Err(err).Str("node", a.Node.Name).Msg("not registered in Redis; trying again every second, what runs goes on")
			}
		}
		select {
		case <-ctx.Done():
			a.farewell()
			return
		case <-time.After(wait):
		}
	}
}

// beat announces the node and claims its streams.
func (a *Announcer) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	streams := a.Streams()
	node := a.Node
	node.Streams = len(streams)
	text, err := json.Marshal(node)
	if err != nil {
		return err
	}
	if _, err := a.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, nodeKey(node.Name), text, nodeTTL)
		p.SAdd(ctx, nodesKey, node.Name)
		return nil
	}); err != nil {
		return err
	}

	owned := make(map[jt1078.Key]struct{}, len(streams))
	contested := 0
	for some := range slices.Chunk(streams, batch) {
		owners, err := claim.Run(ctx, a.Redis, streamKeys(some), node.Name, streamTTL.Milliseconds()).StringSlice()
		if err != nil {
			return err
		}
		for i, owner := range owners {
			if owner == node.Name {
				owned[some[i]] = struct{}{}
				continue
			}
			contested++
			a.Log.Debug().Stringer("stream", some[i]).Str("owner", owner).Msg("this node has a stream that the registry gives to another")
		}
	}
	a.contests.Set(float64(contested))

	for _, stream := range a.Streams() { // one of them may have ended and begun again meanwhile: it is still ours
		if _, ok := a.owned[stream]; ok {
			owned[stream] = struct{}{}
		}
	}
	var gone []jt1078.Key
	for stream := range a.owned {
		if _, ok := owned[stream]; !ok {
			gone = append(gone, stream)
		}
	}
	a.owned = owned
	return a.disown(ctx, gone)
}

func (a *Announcer) disown(ctx context.Context, streams []jt1078.Key) error {
	for some := range slices.Chunk(streams, batch) {
		if err := disown.Run(ctx, a.Redis, streamKeys(some), a.Node.Name).Err(); err != nil {
			return err
		}
	}
	return nil
}

// farewell leaves nothing behind. What fails here expires soon.
func (a *Announcer) farewell() {
	ctx, cancel := context.WithTimeout(context.Background(), farewellTimeout)
	defer cancel()
	var streams []jt1078.Key
	for stream := range a.owned {
		streams = append(streams, stream)
	}
	_, err := a.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.SRem(ctx, nodesKey, a.Node.Name)
		p.Del(ctx, nodeKey(a.Node.Name))
		return nil
	})
	if err = errors.Join(err, a.disown(ctx, streams)); err != nil {
		a.Log.Debug().Err(err).Msg("could not leave the registry; its entries expire")
	}
}

func streamKeys(streams []jt1078.Key) []string {
	keys := make([]string, len(streams))
	for i, stream := range streams {
		keys[i] = streamKey(stream)
	}
	return keys
}
