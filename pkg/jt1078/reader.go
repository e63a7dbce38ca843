package jt1078

import (
	"errors"
	"io"
)

// ErrAlarmAttachment says that the connection is no media stream but an upload of alarm attachments (T/JSATL 12-2017,
// table 4-25), which begins with the same four bytes: the vehicle was sent to the wrong port.
var ErrAlarmAttachment = errors.New("not media but an alarm attachment upload: the vehicle dialled the wrong port")

// DefaultBufferSize of a Reader: what a main stream sends in a few frames, small enough for thousands of vehicles.
const DefaultBufferSize = 16 << 10

const (
	minBufferSize = 1 << 10
	maxEmptyReads = 100 // of a source that returns neither bytes nor an error
)

// ReaderOptions are the choices of a Reader; the zero value is good.
type ReaderOptions struct {
	// BufferSize is how much one read of the source may bring, in bytes; 0 means DefaultBufferSize. The buffer grows
	// once, to 64 KiB and a header, when a packet does not fit.
	BufferSize int
	// SIMFormat, when not SIMFormatAuto, is not found out but given.
	SIMFormat SIMFormat
}

// ReaderStats count what a Reader saw since it was made or reset.
type ReaderStats struct {
	Packets uint64
	// Bytes are those of the packets, headers included.
	Bytes uint64
	// SkippedBytes belonged to no packet.
	SkippedBytes uint64
	// Resyncs is how often the next header was not where it should have been.
	Resyncs uint64
}

// Reader takes packets from a byte stream. It goes by the lengths in the headers, never by searching, until a header
// is not where it must be; then it looks for the next that holds, losing only the packets that are damaged.
//
// Which packets come out depends on the bytes alone, not on how the source cuts them, except that the SIM's length is
// decided for the first packet by what is there: a packet is never held back for bytes beyond its end. (One exception,
// which takes a damaged stream: a packet whose body holds another packet's header waits for the four bytes after it.)
//
// A Reader is not safe for concurrent use.
type Reader struct {
	source     io.Reader
	buf        []byte
	start, end int   // buf[start:end] is read and not yet given out
	err        error // of the source, kept until the bytes before it are used up
	scanned    int   // bytes of the current packet's body that hold no header, so that they are not searched twice

	opts    ReaderOptions
	shift   int
	decided bool // shift is what the last packet had
	locked  bool // two packets in a row had it: it stays
	synced  bool // a header must be at start
	steady  bool // locked and synced

	dropped                   uint64 // bytes that were before buf[0]
	packets, skipped, resyncs uint64 // for Stats
}

// NewReader reads packets from source, which it asks for as much as its buffer holds, once each time it runs out.
func NewReader(source io.Reader, opts ReaderOptions) *Reader {
	if opts.BufferSize <= 0 {
		opts.BufferSize = DefaultBufferSize
	}
	r := &Reader{opts: opts, buf: make([]byte, max(opts.BufferSize, minBufferSize))}
	r.Reset(source)
	return r
}

// Reset starts anew on another source; only the buffer is kept.
func (r *Reader) Reset(source io.Reader) {
	format := r.opts.SIMFormat
	*r = Reader{
		source: source, buf: r.buf, opts: r.opts, synced: true,
		shift: format.shift(), decided: format != SIMFormatAuto, locked: format != SIMFormatAuto,
	}
}

// Stats are the counts so far.
func (r *Reader) Stats() ReaderStats {
	return ReaderStats{
		Packets:      r.packets,
		Bytes:        r.dropped + uint64(r.start) - r.skipped,
		SkippedBytes: r.skipped,
		Resyncs:      r.resyncs,
	}
}

// SIMFormat is what the connection's packets have, SIMFormatAuto as long as that is open.
func (r *Reader) SIMFormat() SIMFormat {
	switch {
	case !r.decided:
		return SIMFormatAuto
	case r.shift != 0:
		return SIMFormat10
	}
	return SIMFormat6
}

// Buffered is how many bytes are read and not yet given out. When it is less than a header, the next Read will
// probably wait for the vehicle: the moment to pass on what was collected.
func (r *Reader) Buffered() int { return r.end - r.start }

// Read takes the next packet. It is given out as soon as its last byte is there; p.Body is valid until the next call.
// A packet with an empty body is given out too: its sequence number counts.
//
// Errors are those of the source, after all packets before them, and ErrAlarmAttachment, which is final. A Reader can
// go on after an error of the source that passes, such as a deadline. At io.EOF what is left was not a whole packet
// and is counted as skipped.
func (r *Reader) Read(p *Packet) error {
	// Nearly always the packet is a piece of a picture, is all there, and another follows.
	if b := r.buf[r.start:r.end]; r.steady && len(b) >= maxHeaderSize {
		if total := p.decodeUsual(b, r.shift); total > 0 {
			r.start += total
			r.packets++
			return nil
		}
	}
	return r.readSlowly(p)
}

// readSlowly takes the packets that Read cannot: the last one in the buffer, the first ones of a connection, those
// near damage.
func (r *Reader) readSlowly(p *Packet) error {
	for {
		if r.Buffered() == 0 && r.ended() {
			return io.EOF
		}
		header, total, v := r.judge()
		if v == more && r.ended() {
			v = refuse
			if r.Buffered() == total {
				v = whole
			}
		}
		if v == refuse {
			v = r.refused()
		}
		switch v {
		case whole:
			r.locked = r.locked || r.decided && r.synced
			r.decided = true
			p.decode(r.buf[r.start:r.start+total:r.start+total], header, r.shift)
			r.start += total
			r.scanned = 0
			r.synced = true
			r.steady = r.locked
			r.packets++
			return nil
		case more:
			if err := r.fill(total); err != nil {
				return err
			}
		case refuse:
			r.skip()
		case alarmAttachment:
			return ErrAlarmAttachment
		}
	}
}

// fill reads once from the source. It keeps the three bytes before start, which skip may go back to.
func (r *Reader) fill(total int) error {
	if r.err == nil {
		if from := max(r.start-len(magicBytes)+1, 0); from > 0 {
			copy(r.buf, r.buf[from:r.end])
			r.dropped += uint64(from)
			r.start -= from
			r.end -= from
		}
		if r.start+total+len(magicBytes) > len(r.buf) {
			buf := make([]byte, maxPacketSize+2*len(magicBytes))
			copy(buf, r.buf[:r.end])
			r.buf = buf
		}
		for range maxEmptyReads {
			n, err := r.source.Read(r.buf[r.end:])
			r.end += n
			r.err = err
			if n > 0 {
				return nil
			}
			if err != nil {
				break
			}
		}
		if r.err == nil {
			return io.ErrNoProgress
		}
	}
	if r.ended() {
		return nil // for good; readSlowly looks at what is left
	}
	err := r.err
	r.err = nil
	return err
}

// ended reports whether no more bytes will come.
func (r *Reader) ended() bool { return errors.Is(r.err, io.EOF) }
