package jt808

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ReassemblerOptions are the limits of one sender. Zero values take the defaults.
type ReassemblerOptions struct {
	MaxPackages int           // sub-packages of a message; default 256
	MaxBytes    int           // bytes held for all messages that are incomplete; default 256 KiB
	MaxMessages int           // messages that are incomplete; default 2
	Timeout     time.Duration // between two sub-packages of a message; default 30 s
}

// ErrReassembly is what every error of Reassembler.Push is: the message that the sub-package belongs to is given up.
var ErrReassembly = errors.New("jt808: sub-packages dropped")

// Reassembler joins the sub-packages of one sender, in any order. A message is known by its id and its total, not by its
// serial numbers: those of a package that was sent again are new. Without a message under way it holds nothing.
type Reassembler struct {
	options ReassemblerOptions
	partial []*partialMessage
	held    int
}

type partialMessage struct {
	header Header // of the first sub-package that came
	last   time.Time
	parts  map[uint16]part
	size   int
}

type part struct {
	serial uint16
	body   []byte
}

// NewReassembler makes one for one sender.
func NewReassembler(options ReassemblerOptions) *Reassembler {
	if options.MaxPackages == 0 {
		options.MaxPackages = 256
	}
	if options.MaxBytes == 0 {
		options.MaxBytes = 256 << 10
	}
	if options.MaxMessages == 0 {
		options.MaxMessages = 2
	}
	if options.Timeout == 0 {
		options.Timeout = 30 * time.Second
	}
	return &Reassembler{options: options}
}

// Held is how many bytes of incomplete messages are kept.
func (r *Reassembler) Held() int { return r.held }

// Push takes a sub-package, copies its body, and returns true when its message is complete: then m is that message,
// unsplit, with the serial number of its first package, and its body belongs to the caller. A message that is not split
// is complete at once and left alone.
func (r *Reassembler) Push(m *Message, now time.Time) (complete bool, err error) {
	if !m.Header.Split() {
		return true, nil
	}
	r.Expire(now)
	h := &m.Header
	if int(h.Total) > r.options.MaxPackages {
		return false, fmt.Errorf("%w: %s announces %d, the limit is %d", ErrReassembly, h.ID, h.Total, r.options.MaxPackages)
	}
	p := r.find(h)
	if p == nil {
		if len(r.partial) == r.options.MaxMessages {
			r.drop(0)
		}
		p = &partialMessage{header: *h, parts: make(map[uint16]part)}
		r.partial = append(r.partial, p)
	}
	p.last = now
	if _, repeated := p.parts[h.Number]; repeated {
		return false, nil
	}
	if r.held+len(m.Body) > r.options.MaxBytes {
		r.drop(slices.Index(r.partial, p))
		return false, fmt.Errorf("%w: %s exceeds %d bytes", ErrReassembly, h.ID, r.options.MaxBytes)
	}
	p.parts[h.Number] = part{serial: h.Serial, body: slices.Clone(m.Body)}
	p.size += len(m.Body)
	r.held += len(m.Body)
	if len(p.parts) < int(h.Total) {
		return false, nil
	}
	*m = p.join()
	r.drop(slices.Index(r.partial, p))
	return true, nil
}

// find is the message that h continues. A sender that starts a message over (another total, or a number that came
// already under another serial number) gives up the one before.
func (r *Reassembler) find(h *Header) *partialMessage {
	for i, p := range r.partial {
		if p.header.ID != h.ID {
			continue
		}
		old, repeated := p.parts[h.Number]
		if p.header.Total == h.Total && (!repeated || old.serial == h.Serial) {
			return p
		}
		r.drop(i)
		return nil
	}
	return nil
}

// Expire drops the messages whose next sub-package has not come in time. Push does it too; call it where a sender may
// go on without sub-packages.
func (r *Reassembler) Expire(now time.Time) {
	for i := len(r.partial) - 1; i >= 0; i-- {
		if now.Sub(r.partial[i].last) > r.options.Timeout {
			r.drop(i)
		}
	}
}

func (r *Reassembler) drop(i int) {
	r.held -= r.partial[i].size
	r.partial = slices.Delete(r.partial, i, i+1)
	if len(r.partial) == 0 {
		r.partial = nil
	}
}

func (p *partialMessage) join() Message {
	m := Message{Header: p.header, Body: make([]byte, 0, p.size)}
	m.Header.Serial = p.parts[1].serial
	m.Header.Total, m.Header.Number = 0, 0
	for number := range p.header.Total {
		m.Body = append(m.Body, p.parts[number+1].body...)
	}
	return m
}
