package hub

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

const (
	// gRPC keeps buffers of 1 KiB and less out of any pool, so the smallest class is just above; a packet of sound
	// takes one.
	smallestBuffer = 1152
	// largestPooled is above the largest frame (ingest.max_frame); what is larger comes and goes with the collector.
	largestPooled = 8 << 20
	// maxFree bounds what the pool keeps for later, all classes together. Trim keeps it near what is needed.
	maxFree = 256 << 20
)

// bufferSizes are those of Go's own allocator, so that nothing is lost between the two: about one eighth apart up to
// 32 KiB, then whole pages.
var bufferSizes = func() []int {
	sizes := []int{
		smallestBuffer, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3456, 4096, 4864, 5376, 6144, 6784, 8192, 9472,
		10880, 12288, 13568, 14336, 16384, 18432, 20480, 21760, 24576, 27264, 28672, 32768, 40960, 49152, 57344, 65536,
	}
	for octave := 64 << 10; octave < largestPooled; octave *= 2 {
		for i := 1; i <= 8; i++ {
			sizes = append(sizes, octave+i*octave/8)
		}
	}
	return sizes
}()

// bufferPool keeps the frames' buffers from the collector: at thousands of frames a second its heap would stand at
// twice what is live. It is a mem.BufferPool; what is freed last is used first.
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

// class is the index of the smallest that holds length bytes, or len(p.classes).
func (p *bufferPool) class(length int) int {
	low, high := 0, len(p.classes)
	for low < high {
		if middle := (low + high) / 2; p.classes[middle].size < length {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// Get returns a buffer of that length. Its contents are anything.
func (p *bufferPool) Get(length int) *[]byte {
	i := p.class(length)
	if i == len(p.classes) {
		p.inUse.Add(int64(length))
		b := make([]byte, length)
		return &b
	}
	c := &p.classes[i]
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
	i := p.class(size)
	if i == len(p.classes) || p.classes[i].size != size || p.free.Load()+int64(size) > maxFree {
		return
	}
	c := &p.classes[i]
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
