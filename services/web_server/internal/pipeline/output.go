package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrClosed ends the outputs of a pipeline that has been closed.
var ErrClosed = errors.New("the stream has been closed")

// Output is one consumer's place in the pipeline: a bounded queue that starts with the current group of pictures. A
// consumer that is too slow loses units up to the next key frame and nobody waits for it.
type Output struct {
	pipeline *Pipeline
	config   *Config
	metrics  *Metrics
	format   string // metrics label

	ready chan struct{} // capacity 1: there is something to look at

	mutex   sync.Mutex // guards what follows
	queue   []*Unit
	spare   []*Unit // becomes the queue when that is taken
	bytes   int
	waitKey bool
	lastDTS time.Duration // of the last video unit queued
	err     error
}

// Next waits until there are units and returns all of them; done is what the last call returned, to be used again. It
// returns ErrClosed or the context's error.
func (o *Output) Next(ctx context.Context, done []*Unit) ([]*Unit, error) {
	o.recycle(done)
	for {
		units, err := o.Take()
		if len(units) > 0 || err != nil {
			return units, err
		}
		select {
		case <-o.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Take is Next without waiting.
func (o *Output) Take() ([]*Unit, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if len(o.queue) == 0 {
		return nil, o.err
	}
	units := o.queue
	o.queue, o.spare, o.bytes = o.spare, nil, 0
	return units, nil
}

func (o *Output) recycle(units []*Unit) {
	if units == nil {
		return
	}
	clear(units)
	o.mutex.Lock()
	o.spare = units[:0]
	o.mutex.Unlock()
}

// Ready gets a value when units are queued, when the stream's state has changed, and when it has been closed.
func (o *Output) Ready() <-chan struct{} { return o.ready }

// Restart forgets what is queued and begins anew with the current group of pictures.
func (o *Output) Restart() {
	o.pipeline.mutex.Lock()
	defer o.pipeline.mutex.Unlock()
	o.mutex.Lock()
	clear(o.queue)
	o.queue, o.bytes, o.waitKey, o.lastDTS = o.queue[:0], 0, true, -1
	o.mutex.Unlock()
	o.pipeline.join(o)
}

// Close takes the output out of the pipeline.
func (o *Output) Close() { o.pipeline.detach(o) }

// push queues a unit; it never waits.
func (o *Output) push(u *Unit) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.overflows(u) {
		o.metrics.dropped.WithLabelValues(o.format).Add(float64(len(o.queue)))
		o.metrics.overflows.WithLabelValues(o.format).Inc()
		clear(o.queue)
		o.queue, o.bytes = o.queue[:0], 0
		o.waitKey = true
	}
	if u.Video() {
		if o.waitKey && !u.Key {
			o.metrics.dropped.WithLabelValues(o.format).Inc()
			return
		}
		o.waitKey = false
		if u.DTS <= o.lastDTS { // the burst of a joiner may end a little after a picture that was on its way
			dts := o.lastDTS + time.Millisecond
			u = u.at(dts, u.PTS)
		}
		o.lastDTS = u.DTS
	} else if o.lastDTS < 0 {
		return // sound before the first picture
	}
	o.queue = append(o.queue, u)
	o.bytes += len(u.Payload)
	o.wake()
}

// overflows tells whether the queue has to be given up for u. The caller holds the mutex.
func (o *Output) overflows(u *Unit) bool {
	return len(o.queue) > 0 && (o.bytes+len(u.Payload) > o.config.QueueBytes || u.DTS-o.queue[0].DTS > o.config.QueueDuration)
}

func (o *Output) end(err error) {
	o.mutex.Lock()
	o.err = err
	o.mutex.Unlock()
	o.wake()
}

func (o *Output) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}
