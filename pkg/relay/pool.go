package relay

import (
	"sync"

	"multi_process_server/pkg/jt1078"
)

// Pool shares one S per stream among all who want it: the first Acquire makes it, the last release closes it. The
// zero value with New set is ready for use.
type Pool[S interface{ Close() }] struct {
	// New makes the S of a stream. It is called for one stream at a time, outside the pool's lock.
	New func(key jt1078.Key) S

	mutex   sync.Mutex // guards entries and closed, and the entries' users
	entries map[jt1078.Key]*poolEntry[S]
	closed  bool
	open    sync.WaitGroup // counts entries whose S is not closed yet
}

type poolEntry[S interface{ Close() }] struct {
	users int
	make  sync.Once
	s     S
	end   sync.Once
}

// Acquire returns the stream's S and a function that gives it back, which may be called more than once and from
// anywhere. It never returns an S whose last user has left: a new one is made at once, even while the old one is still
// closing, so S must bear that the two overlap. After Close it returns an S that is closed already.
func (p *Pool[S]) Acquire(key jt1078.Key) (s S, release func()) {
	p.mutex.Lock()
	if p.closed {
		p.mutex.Unlock()
		s = p.New(key)
		s.Close()
		return s, func() {}
	}
	e := p.entries[key]
	if e == nil {
		e = &poolEntry[S]{}
		if p.entries == nil {
			p.entries = make(map[jt1078.Key]*poolEntry[S])
		}
		p.entries[key] = e
		p.open.Add(1)
	}
	e.users++
	p.mutex.Unlock()

	e.make.Do(func() { e.s = p.New(key) })
	return e.s, sync.OnceFunc(func() { p.release(key, e) })
}

func (p *Pool[S]) release(key jt1078.Key, e *poolEntry[S]) {
	p.mutex.Lock()
	e.users--
	last := e.users == 0
	if last && p.entries[key] == e {
		delete(p.entries, key)
	}
	p.mutex.Unlock()
	if last {
		p.closeEntry(key, e)
	}
}

// closeEntry closes e's S once, whoever comes first: the last release or Close.
func (p *Pool[S]) closeEntry(key jt1078.Key, e *poolEntry[S]) {
	e.end.Do(func() {
		defer p.open.Done()
		e.make.Do(func() { e.s = p.New(key) }) // Close may come between Acquire's two steps
		e.s.Close()
	})
}

// Len is how many streams are shared now.
func (p *Pool[S]) Len() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.entries)
}

// Close closes every S, whoever still holds it, and returns when all are closed.
func (p *Pool[S]) Close() {
	p.mutex.Lock()
	entries := p.entries
	p.entries, p.closed = nil, true
	p.mutex.Unlock()
	for key, e := range entries {
		go p.closeEntry(key, e) // joined by open.Wait
	}
	p.open.Wait()
}
