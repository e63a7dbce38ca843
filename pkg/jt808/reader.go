package jt808

import (
	"bytes"
	"io"
)

// A Reader's buffer starts small, because a gateway has one per idle vehicle, and grows to hold the longest frame.
const initialBuffer = 512

// Reader takes messages from a byte stream. Every flag is a border and what stands between two flags is a frame or
// garbage: so it finds its way back after lost flags, shared flags and noise by itself. It holds at most maxFrame bytes.
type Reader struct {
	r       io.Reader
	buf     []byte
	head    int  // start of the frame that is being read
	scan    int  // no flag in buf[head:scan]
	tail    int  // end of what was read
	tooLong bool // the frame was given up; its rest is skipped up to the next flag
}

// NewReader reads from r in large pieces: nobody else should.
func NewReader(r io.Reader) *Reader { return &Reader{r: r, buf: make([]byte, initialBuffer)} }

// Read fills m with the next message. A FrameError tells of a frame that was thrown away, and the next Read goes on; any
// other error is the stream's and final. m.Body is valid until the next Read.
func (r *Reader) Read(m *Message) error {
	for {
		i := bytes.IndexByte(r.buf[r.scan:r.tail], flag)
		if i < 0 {
			r.scan = r.tail
			if err := r.fill(); err != nil {
				return err
			}
			continue
		}
		end := r.scan + i
		frame := r.buf[r.head:end]
		r.head, r.scan = end+1, end+1
		if r.tooLong {
			r.tooLong = false
			continue
		}
		if len(frame) > 0 {
			return m.unmarshalFrame(frame)
		}
	}
}

// fill reads once, making room first. The error is FrameTooLong once per frame, or the stream's.
func (r *Reader) fill() error {
	if r.tooLong {
		r.head = r.tail
	}
	if r.head > 0 {
		r.tail = copy(r.buf, r.buf[r.head:r.tail])
		r.head, r.scan = 0, r.tail
	}
	if r.tail > maxFrame {
		r.tooLong = true
		r.scan, r.tail = 0, 0
		return FrameTooLong
	}
	if r.tail == len(r.buf) {
		grown := make([]byte, min(2*len(r.buf), maxFrame+1))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 {
		n, err := r.r.Read(r.buf[r.tail:])
		r.tail += n
		if n > 0 {
			return nil // an error that came with data comes again with the next read
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}
