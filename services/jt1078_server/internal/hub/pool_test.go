package hub

import (
	"slices"
	"testing"
)

func TestBufferPoolWastesLittle(t *testing.T) {
	p := newBufferPool()
	if !slices.IsSorted(bufferSizes) {
		t.Fatal("the sizes are not sorted")
	}
	for _, length := range []int{1, segmentSize, segmentSize + 1, 100_000, 1 << 20, 4<<20 + 100, largestPooled, largestPooled + 1} {
		b := p.Get(length)
		if len(*b) != length {
			t.Errorf("length %d, want %d", len(*b), length)
		}
		if waste := cap(*b) - max(length, segmentSize); length <= largestPooled && waste > length/8 {
			t.Errorf("%d bytes in a buffer of %d", length, cap(*b))
		}
		p.Put(b)
	}
	if n := p.inUse.Load(); n != 0 {
		t.Errorf("%d bytes in use when all were put back", n)
	}
}

func TestBufferPoolReuses(t *testing.T) {
	p := newBufferPool()
	b := p.Get(70_000)
	p.Put(b)
	if again := p.Get(71_000); again != b || len(*again) != 71_000 {
		t.Error("a free buffer of the class was not used")
	}
	p.Put(b)
	if n := testing.AllocsPerRun(100, func() { p.Put(p.Get(70_500)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBufferPoolTrimKeepsWhatIsNeeded(t *testing.T) {
	p := newBufferPool()
	all := make([]*[]byte, 0, 10)
	for range 10 {
		all = append(all, p.Get(segmentSize))
	}
	for _, b := range all {
		p.Put(b)
	}
	p.Trim() // the ten have just been in use
	for _, b := range []*[]byte{p.Get(segmentSize), p.Get(segmentSize), p.Get(segmentSize)} {
		p.Put(b)
	}
	p.Trim() // three of them were needed
	if got, want := p.free.Load(), int64(3*segmentSize); got != want {
		t.Errorf("%d bytes are kept, want %d", got, want)
	}
	p.Trim()
	if got := p.free.Load(); got != 0 {
		t.Errorf("%d bytes are kept after a time without use", got)
	}
}

func TestSegment(t *testing.T) {
	p := newBufferPool()
	var s segment
	a, buffer, start := s.reserve(p, 1000)
	if len(a) != 0 || cap(a) != 1000 || start != 0 {
		t.Errorf("length %d, capacity %d, from %d", len(a), cap(a), start)
	}
	buffer.Ref()
	_, same, start := s.reserve(p, segmentSize-1000)
	if same != buffer || start != 1000 {
		t.Errorf("a frame that fits is elsewhere, from %d", start)
	}
	_, other, start := s.reserve(p, 2*segmentSize)
	if other == buffer || start != 0 {
		t.Errorf("a frame that does not fit is from %d of the same buffer", start)
	}
	s.release()
	if n := p.inUse.Load(); n != segmentSize {
		t.Errorf("%d bytes in use, want those of the first segment", n)
	}
	buffer.Free()
	if n := p.inUse.Load(); n != 0 {
		t.Errorf("%d bytes in use", n)
	}
}
