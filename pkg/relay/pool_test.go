package relay

import (
	"sync"
	"sync/atomic"
	"testing"

	"multi_process_server/pkg/jt1078"
)

// shared is an S that knows whether it is closed, and that complains when it is closed twice.
type shared struct {
	t      *testing.T
	key    jt1078.Key
	closed atomic.Bool
	wait   chan struct{} // when set, Close waits for it
	begun  chan struct{}
}

func (s *shared) Close() {
	if s.closed.Swap(true) {
		s.t.Error("closed twice")
	}
	if s.wait != nil {
		close(s.begun)
		<-s.wait
	}
}

func keys(n int) []jt1078.Key {
	all := make([]jt1078.Key, n)
	for i := range all {
		all[i] = jt1078.Key{Kind: jt1078.KindLive, ID: jt1078.StreamID{Channel: uint8(i + 1)}}
	}
	return all
}

func TestPoolShares(t *testing.T) {
	made := 0
	pool := Pool[*shared]{New: func(key jt1078.Key) *shared { made++; return &shared{t: t, key: key} }}
	two := keys(2)
	a, releaseA := pool.Acquire(two[0])
	b, releaseB := pool.Acquire(two[0])
	other, releaseOther := pool.Acquire(two[1])
	if a != b || a == other || made != 2 || other.key != two[1] || pool.Len() != 2 {
		t.Fatalf("%d made, %d shared", made, pool.Len())
	}
	releaseA()
	releaseA()
	if a.closed.Load() {
		t.Fatal("closed under its other user")
	}
	releaseB()
	if !a.closed.Load() || other.closed.Load() || pool.Len() != 1 {
		t.Error("the last release must close its own, and only that")
	}
	again, releaseAgain := pool.Acquire(two[0])
	if again == a {
		t.Error("got what is closed")
	}
	releaseAgain()
	releaseOther()
	pool.Close()
}

func TestPoolAcquireWhileTheOldOneCloses(t *testing.T) {
	old := &shared{t: t, wait: make(chan struct{}), begun: make(chan struct{})}
	next := old
	pool := Pool[*shared]{New: func(jt1078.Key) *shared { s := next; next = &shared{t: t}; return s }}
	key := keys(1)[0]
	_, release := pool.Acquire(key)
	var closing sync.WaitGroup
	closing.Go(release)
	<-old.begun
	s, releaseNew := pool.Acquire(key) // does not wait
	if s == old || s.closed.Load() {
		t.Error("got what is closing")
	}
	close(old.wait)
	closing.Wait()
	if s.closed.Load() {
		t.Error("the old one's end closed the new one")
	}
	releaseNew()
	pool.Close()
}

func TestPoolClose(t *testing.T) {
	pool := Pool[*shared]{New: func(jt1078.Key) *shared { return &shared{t: t} }}
	key := keys(1)[0]
	s, release := pool.Acquire(key)
	pool.Close()
	if !s.closed.Load() {
		t.Error("Close left one open")
	}
	release()
	late, release := pool.Acquire(key)
	if !late.closed.Load() {
		t.Error("a closed pool gave what is open")
	}
	release()
	pool.Close()
}

func TestPoolConcurrently(t *testing.T) {
	pool := Pool[*shared]{New: func(jt1078.Key) *shared { return &shared{t: t} }}
	all := keys(3)
	var users sync.WaitGroup
	for i := range 16 {
		users.Go(func() {
			for n := range 300 {
				s, release := pool.Acquire(all[(i+n)%len(all)])
				if s.closed.Load() {
					t.Error("got what is closed")
				}
				release()
			}
		})
	}
	users.Wait()
	if pool.Len() != 0 {
		t.Errorf("%d left", pool.Len())
	}

	for range 8 {
		users.Go(func() {
			for n := range 200 {
				_, release := pool.Acquire(all[n%len(all)])
				release()
			}
		})
	}
	pool.Close()
	users.Wait()
}
