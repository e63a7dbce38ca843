package media

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Each step adds one frame: S parameter sets, K key, D delta, A audio; every frame has 10 bytes and comes 1 s after
// the one before. The numbers are the steps' own.
func TestGOPCache(t *testing.T) {
	types := map[rune]FrameType{'S': FrameParameterSets, 'K': FrameKey, 'D': FrameDelta, 'A': FrameAudio}
	for _, c := range []struct {
		name   string
		frames string
		want   []int
	}{
		{"nothing before the first key frame", "DADA", nil},
		{"from the key frame on, sound included", "DAKDAD", []int{2, 3, 4, 5}},
		{"parameter sets belong to the key frame after them", "KDASKD", []int{3, 4, 5}},
		{"a key frame begins anew", "SKDKD", []int{3, 4}},
		{"parameter sets alone", "KDS", []int{2}},
		{"too many bytes", "KDDDDDDDDDD", nil},
		{"after too many bytes the next key frame", "KDDDDDDDDDDDDKD", []int{13, 14}},
		{"as many bytes as fit", "KDDDDDDDDD", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
	} {
		var evicted []int
		cache := GOPCache[int]{MaxBytes: 100, MaxDuration: time.Minute, Evict: func(i int) { evicted = append(evicted, i) }}
		kept := 0
		for i, r := range c.frames {
			if cache.Add(i, 10, types[r], time.Duration(i)*time.Second) {
				kept++
			}
		}
		if !slices.Equal(cache.Items(), c.want) || cache.Bytes() != 10*len(c.want) {
			t.Errorf("%s: %s: kept %v, %d bytes, want %v", c.name, c.frames, cache.Items(), cache.Bytes(), c.want)
		}
		cache.Clear()
		if len(evicted) != kept || !slices.IsSorted(evicted) {
			t.Errorf("%s: %s: %d were kept, evicted %v", c.name, c.frames, kept, evicted)
		}
	}
}

func TestGOPCacheMaxDuration(t *testing.T) {
	cache := GOPCache[int]{MaxBytes: 100, MaxDuration: 2 * time.Second, Evict: func(int) {}}
	cache.Add(0, 1, FrameKey, time.Minute)
	cache.Add(1, 1, FrameDelta, time.Minute+2*time.Second)
	if len(cache.Items()) != 2 {
		t.Errorf("kept %v", cache.Items())
	}
	if cache.Add(2, 1, FrameDelta, time.Minute+3*time.Second) || len(cache.Items()) != 0 {
		t.Errorf("kept %v", cache.Items())
	}
}

func TestGOPCacheFull(t *testing.T) {
	var evicted []int
	full := false
	cache := GOPCache[int]{
		MaxBytes: 100, MaxDuration: time.Minute,
		Evict: func(i int) { evicted = append(evicted, i) },
		Full:  func() bool { return full },
	}
	cache.Add(0, 1, FrameKey, 0)
	full = true
	if cache.Add(1, 1, FrameDelta, 0) || !slices.Equal(evicted, []int{0}) {
		t.Errorf("kept %v, evicted %v", cache.Items(), evicted)
	}
	cache.Add(2, 1, FrameParameterSets, 0)
	full = false
	if cache.Add(3, 1, FrameKey, 0) {
		t.Error("a key frame was kept whose parameter sets were let go")
	}
	if !cache.Add(4, 1, FrameParameterSets, 0) || !cache.Add(5, 1, FrameKey, 0) || len(cache.Items()) != 2 {
		t.Errorf("kept %v", cache.Items())
	}
}

func TestGOPCacheOff(t *testing.T) {
	for _, cache := range []GOPCache[string]{{MaxBytes: 100}, {MaxDuration: time.Second}} {
		cache.Evict = func(s string) { t.Errorf("evicted %s", s) }
		if cache.Add("key", 1, FrameKey, 0) {
			t.Error("kept a frame")
		}
	}
}

func TestGOPCacheDoesNotAllocate(t *testing.T) {
	cache := GOPCache[string]{MaxBytes: 1 << 20, MaxDuration: time.Minute, Evict: func(string) {}}
	group := strings.Split("K"+strings.Repeat("D", 49), "")
	add := func() {
		for i, name := range group {
			typ := FrameDelta
			if i == 0 {
				typ = FrameKey
			}
			cache.Add(name, 100, typ, time.Duration(i)*time.Millisecond)
		}
	}
	add()
	if n := testing.AllocsPerRun(10, add); n != 0 {
		t.Errorf("%v allocations a group", n)
	}
}
