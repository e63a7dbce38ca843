package media

import "time"

// GOPCache keeps the current group of pictures: the last key frame, the parameter sets right before it, and everything
// since, sound included. Who joins is given that and can show a picture at once. A group that outgrows the caps is let
// go whole, as half of one is of no use, and the cache stays empty until the next key frame.
//
// T is what is kept of a frame, a reference to a shared buffer for instance. A GOPCache is not safe for concurrent use.
type GOPCache[T any] struct {
	// MaxBytes and MaxDuration are the caps; with 0 nothing is kept.
	MaxBytes    int
	MaxDuration time.Duration
	// Full, if set, says that there is no memory for more, whatever this cache's own caps. The group is then let go whole.
	Full func() bool
	// Evict is called for every item that the cache lets go of, in order.
	Evict func(T)

	items  []T
	bytes  int
	start  time.Duration // PTS of the first item
	newest FrameType
}

// Add keeps an item for a frame of that size in bytes, if the frame belongs to a group; otherwise kept is false and the
// item remains the caller's.
func (c *GOPCache[T]) Add(item T, size int, typ FrameType, pts time.Duration) (kept bool) {
	switch {
	case typ == FrameParameterSets, typ == FrameKey && c.newest != FrameParameterSets:
		c.Clear()
		c.start = pts
	case len(c.items) == 0:
		return false
	}
	if c.bytes+size > c.MaxBytes || pts-c.start > c.MaxDuration || c.MaxDuration <= 0 || c.Full != nil && c.Full() {
		c.Clear()
		c.newest = typ // a key frame does not begin a group when its parameter sets were let go
		return false
	}
	c.items = append(c.items, item)
	c.bytes += size
	c.newest = typ
	return true
}

// Items are what is kept, oldest first. The slice is valid until the next Add or Clear.
func (c *GOPCache[T]) Items() []T { return c.items }

// Bytes is the sum of the kept items' sizes.
func (c *GOPCache[T]) Bytes() int { return c.bytes }

// Clear lets go of everything.
func (c *GOPCache[T]) Clear() {
	for _, item := range c.items {
		c.Evict(item)
	}
	clear(c.items)
	c.items, c.bytes, c.newest = c.items[:0], 0, 0
}
