package hub

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/mem"

	"multi_process_server/pkg/media"
)

// item is an encoded event in a queue, and what has to be known of it without decoding.
type item struct {
	buffer mem.Buffer
	size   int
	typ    media.FrameType // 0: a state
	queued time.Time       // when the frame was received; of a cached frame, when it was queued for a late joiner
}

// Subscriber is one subscription of a stream. Next is for one goroutine; Close for any.
type Subscriber struct {
	name   string
	stream *stream
	ready  chan struct{} // one token: something is in the queue, or err is set

	// Guarded by stream.mu.
	queue   []item // queue[head:] waits
	head    int
	bytes   int
	last    media.FrameType // of the last frame queued
	needKey bool            // delta frames are of no use before the next key frame
	slow    bool            // it has lost frames; said once
	err     error           // how it ended, given out after the queue
	closed  bool
}

// Next waits for the next event, a relayv1.Event, encoded once for all subscribers. The caller frees it.
//
// An error is final: a *StartError, ErrStopping, or ctx's.
func (c *Subscriber) Next(ctx context.Context) (mem.Buffer, error) {
	for {
		c.stream.mu.Lock()
		if c.head < len(c.queue) {
			buffer := c.pop().buffer
			c.stream.mu.Unlock()
			return buffer, nil
		}
		err := c.err
		c.stream.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-c.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the subscription and frees what waited for it. The stream goes on for the grace period if nobody else
// watches. It may be called more than once.
func (c *Subscriber) Close() {
	s := c.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	s.hub.metrics.subscribers.Dec()
	if i := slices.Index(s.subscribers, c); i >= 0 {
		s.subscribers = slices.Delete(s.subscribers, i, i+1)
		if len(s.subscribers) == 0 {
			s.unwatched = time.Now()
			s.poke()
		}
	}
	for c.head < len(c.queue) {
		c.pop().buffer.Free()
	}
	if c.err == nil {
		c.err = context.Canceled
	}
	s.log.Debug().Str("subscriber", c.name).Int("subscribers", len(s.subscribers)).Msg("unsubscribed")
}

// end is the hub's way to end a subscription; the queue is given out before err.
func (c *Subscriber) end(err error) {
	c.err = err
	c.signal()
}

// pushFrame queues a frame, which the caller has taken a reference for, or drops it.
func (c *Subscriber) pushFrame(i item) {
	// Parameter sets and the key frame after them stay together, whatever the queue's length.
	together := i.typ == media.FrameKey && c.last == media.FrameParameterSets
	if c.full(i) && !together {
		c.overflow(i.queued)
	}
	if c.needKey && i.typ == media.FrameDelta {
		i.buffer.Free()
		if c.slow {
			c.stream.hub.metrics.overflowFrames.Inc()
		}
		return
	}
	if i.typ == media.FrameKey {
		c.needKey = false
	}
	c.last = i.typ
	c.push(i)
}

// pushState queues a state.
func (c *Subscriber) pushState(i item) {
	if c.full(i) {
		c.overflow(i.queued)
	}
	c.push(i)
}

func (c *Subscriber) push(i item) {
	if c.head == len(c.queue) {
		c.queue, c.head = c.queue[:0], 0
	} else if c.head > len(c.queue)/2 && len(c.queue) == cap(c.queue) {
		c.queue = slices.Delete(c.queue, 0, c.head)
		c.head = 0
	}
	c.queue = append(c.queue, i)
	c.bytes += i.size
	if len(c.queue)-c.head == 1 {
		c.signal()
	}
}

func (c *Subscriber) pop() item {
	i := c.queue[c.head]
	c.queue[c.head] = item{}
	c.head++
	c.bytes -= i.size
	return i
}

func (c *Subscriber) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// full reports whether the queue has no room for one item more.
func (c *Subscriber) full(next item) bool {
	cfg := &c.stream.hub.Config
	n := len(c.queue) - c.head
	return n >= cfg.QueueMaxFrames || c.bytes+next.size > cfg.QueueMaxBytes ||
		n > 0 && next.queued.Sub(c.queue[c.head].queued) > cfg.QueueMaxAge
}

// overflow drops everything that waits except the last state, which still holds. The picture goes on at the next key
// frame.
func (c *Subscriber) overflow(now time.Time) {
	var state item
	frames := 0
	for c.head < len(c.queue) {
		i := c.pop()
		if i.typ == 0 {
			state = i // states are not pooled, so there is nothing to free
			continue
		}
		i.buffer.Free()
		frames++
	}
	if state.buffer != nil {
		state.queued = now
		c.push(state)
	}
	c.needKey = true
	m := c.stream.hub.metrics
	m.overflows.Inc()
	m.overflowFrames.Add(float64(frames))
	if !c.slow {
		c.slow = true
		c.stream.log.Warn().Str("subscriber", c.name).Int("frames", frames).
			Msg("a subscriber is too slow: frames are dropped up to the next key frame; further losses are only counted")
	}
}
