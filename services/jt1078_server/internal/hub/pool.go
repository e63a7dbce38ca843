package hub

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

const (
	// segmentSize is what frames are written into one after another, see segment. Large enough that a group of
	// pictures is a handful of them, small enough that a stream's last one, which is not full, costs little.
	segmentSize = 64 << 10
	// largestPooled is above the largest frame (ingest.max_frame); what is larger comes and goes with the collector.
	largestPooled = 8 << 20
	// maxFree bounds what the pool keeps for later, all classes together. Trim keeps it near what is needed.
	maxFree = 256 << 20
)

// bufferSizes are one eighth apart: whole pages of Go's own allocator, so that nothing is lost between the two.
var bufferSizes = func() []int {
	sizes := []int{segmentSize}
	for octave := segmentSize; octave < largestPooled; octave *= 2 {
		for i := 1; i <= 8; i++ {
			sizes = append(sizes, octave+i*octave/8)
		}
	}
	return sizes
}()

// bufferPool keeps the frames' memory from the collector: at tens of megabytes a second its heap would stand at twice
// what is live. It is a mem.BufferPool; what is freed last is used first.
type bufferPool struct {
	classes []bufferClass
	inUse   atomic.Int64 // bytes, by class
	free    atomic.Int64
}

type bufferClass struct {
	size int

	mu   sync.Mutex // guards what follows
	free []*[]byte
	low  int // the fewest that were free since the last trim: nobody needed those
}

func newBufferPool() *bufferPool {
	p := &bufferPool{classes: make([]bufferClass, len(bufferSizes))}
	for i, size := range bufferSizes {
		p.classes[i].size = size
	}
	return p
}

// class is the smallest that holds length bytes, nil when none does.
func (p *bufferPool) class(length int) *bufferClass {
	for i := range p.classes {
		if p.classes[i].size >= length {
			return &p.classes[i]
		}
	}
	return nil
}

// Get returns a buffer of that length. Its contents are anything.
func (p *bufferPool) Get(length int) *[]byte {
	c := p.class(length)
	if c == nil {
		p.inUse.Add(int64(length))
		b := make([]byte, length)
		return &b
	}
	p.inUse.Add(int64(c.size))
	c.mu.Lock()
	n := len(c.free)
	if n == 0 {
		c.mu.Unlock()
		b := make([]byte, length, c.size)
		return &b
	}
	b := c.free[n-1]
	c.free[n-1] = nil
	c.free = c.free[:n-1]
	c.low = min(c.low, n-1)
	c.mu.Unlock()
	p.free.Add(-int64(c.size))
	*b = (*b)[:length]
	return b
}

// Put takes back what Get gave.
func (p *bufferPool) Put(b *[]byte) {
	size := cap(*b)
	p.inUse.Add(-int64(size))
	c := p.class(size)
	if c == nil || c.size != size || p.free.Load()+int64(size) > maxFree {
		return
	}
	p.free.Add(int64(size))
	c.mu.Lock()
	c.free = append(c.free, b)
	c.mu.Unlock()
}

// Trim gives the collector what was not needed since the last call.
func (p *bufferPool) Trim() {
	for i := range p.classes {
		c := &p.classes[i]
		c.mu.Lock()
		keep := len(c.free) - c.low
		p.free.Add(-int64(c.size * c.low))
		clear(c.free[keep:])
		c.free = c.free[:keep]
		c.low = keep
		c.mu.Unlock()
	}
}

var _ mem.BufferPool = (*bufferPool)(nil)

// segment is where a stream writes its frames' events, one after another. Each is then read-only; the cache and the
// subscribers share it by reference to the segment, whose memory is free again when the last of them has let go. So
// what comes together stays together: a group of pictures is dropped in a few steps, and small frames waste nothing.
type segment struct {
	buffer mem.Buffer // holds a reference of the stream's own; nil: there is no segment
	data   []byte
	used   int
}

// reserve returns room for size bytes, of length 0, and where in which buffer it is. The buffer is the segment's: who
// keeps it takes a reference.
func (s *segment) reserve(pool *bufferPool, size int) (room []byte, buffer mem.Buffer, start int) {
	if s.buffer == nil || s.used+size > len(s.data) {
		s.release()
		data := pool.Get(max(size, segmentSize))
		s.buffer, s.data = mem.NewBuffer(data, pool), *data
	}
	start = s.used
	s.used += size
	return s.data[start:start:s.used], s.buffer, start
}

// release lets go of the segment; what others refer to stays.
func (s *segment) release() {
	if s.buffer != nil {
		s.buffer.Free()
	}
	*s = segment{}
}
