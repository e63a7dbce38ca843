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
	for _, length := range []int{1, 1000, 1153, 2000, 5700, 8193, 33_000, 60_000, 66_000, 1 << 20, 4<<20 + 100, largestPooled, largestPooled + 1} {
		b := p.Get(length)
		if len(*b) != length {
			t.Errorf("length %d, want %d", len(*b), length)
		}
		// Above 32 KiB Go's allocator itself deals in pages of 8 KiB.
		if waste := cap(*b) - length; length > smallestBuffer && waste > max(length/5, 8<<10) {
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
	b := p.Get(5000)
	p.Put(b)
	if again := p.Get(5300); again != b || len(*again) != 5300 {
		t.Error("a free buffer of the class was not used")
	}
	p.Put(b)
	if n := testing.AllocsPerRun(100, func() { p.Put(p.Get(5100)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBufferPoolTrimKeepsWhatIsNeeded(t *testing.T) {
	p := newBufferPool()
	var all []*[]byte
	for range 10 {
		all = append(all, p.Get(5000))
	}
	for _, b := range all {
		p.Put(b)
	}
	p.Trim() // the ten have just been in use
	for _, b := range []*[]byte{p.Get(5000), p.Get(5000), p.Get(5000)} {
		p.Put(b)
	}
	p.Trim() // three of them were needed
	if got, want := p.free.Load(), int64(3*cap(*all[0])); got != want {
		t.Errorf("%d bytes are kept, want %d", got, want)
	}
	p.Trim()
	if got := p.free.Load(); got != 0 {
		t.Errorf("%d bytes are kept after a time without use", got)
	}
}
