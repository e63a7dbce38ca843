package hub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
)

const (
	sweepEvery = time.Second
	trimEvery  = 30 * time.Second
)

// Hub keeps the streams. Fill in the exported fields, call Initialize, and Close at the end.
type Hub struct {
	Config Config
	// Commander tells vehicles to send live pictures. With nil nobody is told, and a subscriber waits for a vehicle
	// that dials because somebody else has told it.
	Commander Commander
	Log       zerolog.Logger
	// Metrics gets the jt1078_hub_* metrics; nil means none.
	Metrics prometheus.Registerer

	pool    *bufferPool
	metrics *metrics
	ctx     context.Context // done when Close begins
	stop    context.CancelFunc
	running sync.WaitGroup // the housekeeper, and a supervisor for each stream in demand

	mu      sync.Mutex // guards what follows; a stream's own lock is taken under it, never the other way round
	streams map[jt1078.Key]*stream
	closed  bool
}

// Initialize readies the hub.
func (h *Hub) Initialize() error {
	if err := h.Config.Validate(); err != nil {
		return err
	}
	h.pool = newBufferPool()
	h.streams = make(map[jt1078.Key]*stream)
	var err error
	h.metrics, err = newMetrics(h.Metrics, func() float64 {
		h.mu.Lock()
		defer h.mu.Unlock()
		return float64(len(h.streams))
	}, h.pool)
	if err != nil {
		return err
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.running.Go(h.keepHouse)
	return nil
}

// Close ends every subscription with ErrStopping and every publisher with ErrStopped, tells the vehicles that were told
// to send to stop, for a second at most, and returns when all that has ended.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true // from here on no stream is added
	streams := slices.Collect(maps.Values(h.streams))
	h.mu.Unlock()
	h.stop()
	for _, s := range streams {
		s.close()
	}
	h.running.Wait()
}

// Subscribe begins a subscription of a stream, and starts the stream if it is the first. The name is for the log.
//
// Its errors are a *StartError while a failed start is fresh, ErrTooManyStreams, ErrTooManySubscribers and ErrStopping.
func (h *Hub) Subscribe(key jt1078.Key, name string) (*Subscriber, error) {
	// Wishes cost nothing to make, so they leave room for vehicles that send.
	s, err := h.locked(key, h.Config.MaxStreams-h.Config.MaxStreams/4)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.subscribe(name)
}

// Publish takes a vehicle's connection as the sender of a stream, at the first packet that it brings of it.
//
// Its errors are ErrDuplicate, ErrUnwanted, ErrTooManyStreams and ErrStopping; each is counted.
func (h *Hub) Publish(key jt1078.Key, source Source) (*Publisher, error) {
	s, err := h.locked(key, h.Config.MaxStreams)
	if err != nil {
		reason := "limit"
		if errors.Is(err, ErrStopping) {
			reason = "stopping"
		}
		h.metrics.refused.WithLabelValues(reason).Inc()
		return nil, err
	}
	return s.publish(source) // unlocks
}

// Wanted reports whether anybody waits for the stream.
func (h *Hub) Wanted(key jt1078.Key) bool {
	h.mu.Lock()
	s := h.streams[key]
	h.mu.Unlock()
	return s != nil && s.watched()
}

// locked finds the stream, or makes it where there are fewer than limit, and returns it locked: it cannot be swept away
// in between.
func (h *Hub) locked(key jt1078.Key, limit int) (*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrStopping
	}
	s := h.streams[key]
	if s == nil {
		if len(h.streams) >= limit {
			return nil, ErrTooManyStreams
		}
		s = h.newStream(key)
		h.streams[key] = s
	}
	s.mu.Lock()
	return s, nil
}

func (h *Hub) newStream(key jt1078.Key) *stream {
	return &stream{
		hub: h,
		key: key,
		// Different for each stream that ever was, on whatever node: what a consumer tells a new clock by.
		epoch: uint64(time.Now().UnixNano()),
		log: h.Log.With().Str("kind", key.Kind.String()).Stringer("sim", key.ID.SIM).Uint8("channel", key.ID.Channel).
			Logger(),
		wake: make(chan struct{}, 1),
		cache: media.GOPCache[entry]{
			MaxBytes:    h.Config.GOPMaxBytes,
			MaxDuration: h.Config.GOPMaxDuration,
			Full:        func() bool { return h.pool.inUse.Load() > h.Config.GOPTotalBytes },
			Evict:       func(e entry) { e.buffer.Free() },
		},
	}
}

// commands reports whether there is anybody who could tell a vehicle to send this stream.
func (h *Hub) commands(key jt1078.Key) bool { return h.Commander != nil && key.Kind == jt1078.KindLive }

// keepHouse forgets streams that are over, and memory that is not needed any more.
func (h *Hub) keepHouse() {
	sweep, trim := time.NewTicker(sweepEvery), time.NewTicker(trimEvery)
	defer sweep.Stop()
	defer trim.Stop()
	for {
		select {
		case now := <-sweep.C:
			h.sweep(now)
		case <-trim.C:
			h.pool.Trim()
		case <-h.ctx.Done():
			return
		}
	}
}

func (h *Hub) sweep(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, s := range h.streams {
		if s.over(now) {
			delete(h.streams, key)
		}
	}
}

// Streams lists the streams that a vehicle sends or that somebody waits for, in no order.
func (h *Hub) Streams() []jt1078.Key {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := make([]jt1078.Key, 0, len(h.streams))
	for key, s := range h.streams {
		if s.active() {
			keys = append(keys, key)
		}
	}
	return keys
}
