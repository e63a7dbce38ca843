package jt1078

import "bytes"

// verdict on the bytes at start.
type verdict uint8

const (
	whole  verdict = iota // a packet
	more                  // not to be told yet
	refuse                // no packet begins here
	alarmAttachment
)

// judge says whether a packet is at start, and its size as far as it is known.
//
// A header is taken at its word unless the bytes contradict it: what follows the packet is not another one, and
// within it another one's header lies. A length beyond the standard's is contradicted by such a header alone, as soon as
// it is seen, so that a length that lies does not hold up the stream until 64 KiB have come.
func (r *Reader) judge() (header, total int, v verdict) {
	b := r.buf[r.start:r.end]
	header, total = measure(b, r.shift)
	if !r.locked && (!r.decided || total == notHeader) {
		r.decided = false
		format := DetectSIMFormat(b)
		r.shift = format.shift()
		header, total = measure(b, r.shift)
	}
	if total <= 0 {
		if total == notHeader {
			return 0, 0, refuse
		}
		return 0, 0, more
	}

	have := b[:min(total, len(b))]
	if total-header > MaxStandardBody {
		from := max(len(magicBytes), r.scanned)
		if r.findHeader(have[from:], false) {
			return header, total, refuse
		}
		r.scanned = max(from, len(have)-maxHeaderSize)
	}
	if len(b) < total {
		return header, total, more
	}
	after := b[total:]
	after = after[:min(len(after), len(magicBytes))]
	switch {
	case string(after) == magicBytes, !r.findHeader(have[len(magicBytes):], true):
		return header, total, whole
	case string(after) == magicBytes[:len(after)]:
		return header, total, more
	}
	return header, total, refuse
}

// findHeader reports whether a packet's header lies in b: all of it or, if cut, as much as b has room for.
func (r *Reader) findHeader(b []byte, cut bool) bool {
	for {
		i := bytes.Index(b, []byte(magicBytes))
		if i < 0 {
			return false
		}
		b = b[i:]
		_, total := measure(b, r.shift)
		if !r.locked && total < 0 {
			_, total = measure(b, longShift-r.shift)
		}
		if total > 0 || cut && total == shortHeader {
			return true
		}
		b = b[1:]
	}
}

// refused looks twice at a place where no packet begins, before it is skipped.
func (r *Reader) refused() verdict {
	b := r.buf[r.start:r.end]
	var v verdict
	switch {
	case r.packets == 0:
		v = findAlarmAttachment(b)
	case r.synced && len(b) < len(magicBytes)-1:
		v = more // skip has to see whether a header begins in the last bytes of the packet before
	default:
		return refuse
	}
	if v == more && r.ended() {
		return refuse
	}
	return v
}

// findAlarmAttachment reports whether b is a chunk of an alarm attachment: after the magic a file name of 50 bytes,
// padded with zeros or blanks.
func findAlarmAttachment(b []byte) verdict {
	const nameSize, shortestName = 50, 5
	if !bytes.HasPrefix(b, []byte(magicBytes)) {
		return refuse
	}
	name := b[len(magicBytes):min(len(b), len(magicBytes)+nameSize)]
	text := bytes.TrimRight(name, "\x00 ")
	for _, c := range text {
		if c <= ' ' || c > '~' {
			return refuse
		}
	}
	switch {
	case len(name) < nameSize:
		return more
	case len(text) < shortestName:
		return refuse
	}
	return alarmAttachment
}

// skip goes to the next place where a header can begin.
func (r *Reader) skip() {
	r.scanned = 0
	r.decided = r.locked
	if r.synced {
		r.synced, r.steady = false, false
		r.resyncs++
		// A packet that came a few bytes short has taken them from the next one's magic.
		from := max(r.start-len(magicBytes)+1, 0)
		to := min(r.start+len(magicBytes)-1, r.end)
		if i := bytes.Index(r.buf[from:to], []byte(magicBytes)); i >= 0 && from+i < r.start {
			r.start = from + i
			return
		}
	}
	b := r.buf[r.start:r.end]
	n := bytes.Index(b[1:], []byte(magicBytes)) + 1
	if n == 0 {
		n = len(b)
		for k := min(len(magicBytes), len(b)) - 1; k > 0; k-- {
			if bytes.HasSuffix(b, []byte(magicBytes[:k])) {
				n -= k
				break
			}
		}
	}
	r.start += n
	r.skipped += uint64(n)
}
