package jt808

import (
	"bytes"
	"fmt"
)

// A frame is flag, escaped message and checksum, flag (JT/T 808-2019, 4.4.1 and 4.4.2). The flag cannot occur inside.
const (
	flag       = 0x7e
	escapeByte = 0x7d
	maxFrame   = 2 * maxMessage // every byte escaped, without the flags
)

// FrameError says why a frame was thrown away. It is an error of that frame alone: reading goes on behind it.
type FrameError uint8

// Reasons.
const (
	FrameTooLong  FrameError = iota + 1 // longer than any message can be
	FrameEscape                         // 0x7d followed by neither 0x01 nor 0x02
	FrameChecksum                       // the XOR of all bytes is not 0
	FrameLength                         // shorter than a header, or the header states another length
	FrameSplit                          // a sub-package's number is 0 or above the total
)

// FrameErrors are all reasons, for counters that shall exist from the start.
var FrameErrors = [...]FrameError{FrameTooLong, FrameEscape, FrameChecksum, FrameLength, FrameSplit}

// String is one word, fit for a metric's label.
func (e FrameError) String() string {
	switch e {
	case FrameTooLong:
		return "too_long"
	case FrameEscape:
		return "escape"
	case FrameChecksum:
		return "checksum"
	case FrameLength:
		return "length"
	case FrameSplit:
		return "split"
	}
	return fmt.Sprintf("reason(%d)", uint8(e))
}

func (e FrameError) Error() string { return "jt808: bad frame: " + e.String() }

// Append writes body as one frame to dst. The message's id is the body's, whatever h says. An error (ErrBodyTooLong,
// ErrSIMTooLong, or one of the body's fields that does not fit) leaves dst as it was.
func Append(dst []byte, h Header, body Body) ([]byte, error) {
	h.ID = body.ID()
	return appendFrame(dst, &h, func(b []byte) ([]byte, error) { return body.Append(b, h.Version) })
}

// Append writes the message as one frame to dst, with the same errors as the function Append.
func (m *Message) Append(dst []byte) ([]byte, error) {
	return appendFrame(dst, &m.Header, func(b []byte) ([]byte, error) { return append(b, m.Body...), nil })
}

func appendFrame(dst []byte, h *Header, appendBody func([]byte) ([]byte, error)) ([]byte, error) {
	start := len(dst)
	out, err := h.append(append(dst, flag))
	if err != nil {
		return dst, err
	}
	body := len(out)
	if out, err = appendBody(out); err != nil {
		return dst, err
	}
	if len(out)-body > MaxBody {
		return dst, fmt.Errorf("%w: %s has %d bytes, a message takes %d", ErrBodyTooLong, h.ID, len(out)-body, MaxBody)
	}
	setLength(out[start+1:], len(out)-body)
	out = append(out, checksum(out[start+1:]))
	return append(escape(out, start+1), flag), nil
}

// AppendSplit writes a body of any length to dst as frames of at most size bytes of body each (0 = MaxBody), numbered
// h.Serial, h.Serial+1, …, and returns how many serial numbers it used. A body that fits is one ordinary message.
func AppendSplit(dst []byte, h Header, body []byte, size int) (out []byte, used uint16, err error) {
	if size <= 0 || size > MaxBody {
		size = MaxBody
	}
	if len(body) <= size {
		m := Message{Header: h, Body: body}
		m.Header.Total, m.Header.Number = 0, 0
		out, err = m.Append(dst)
		return out, 1, err
	}
	total := (len(body) + size - 1) / size
	if total > 0xffff {
		return dst, 0, fmt.Errorf("%w: %s has %d bytes, %d sub-packages", ErrBodyTooLong, h.ID, len(body), total)
	}
	out = dst
	m := Message{Header: h}
	m.Header.Total = uint16(total)
	for len(body) > 0 {
		m.Header.Number++
		m.Body = body[:min(size, len(body))]
		body = body[len(m.Body):]
		if out, err = m.Append(out); err != nil {
			return dst, 0, err
		}
		m.Header.Serial++
	}
	return out, uint16(total), nil
}

func checksum(b []byte) (sum byte) {
	for _, v := range b {
		sum ^= v
	}
	return sum
}

// escape replaces 0x7e and 0x7d behind start, from the back, so that it needs no second buffer.
func escape(b []byte, start int) []byte {
	extra := bytes.Count(b[start:], []byte{flag}) + bytes.Count(b[start:], []byte{escapeByte})
	from := len(b) - 1
	for range extra {
		b = append(b, 0)
	}
	for to := len(b) - 1; to > from; from-- {
		switch b[from] {
		case flag:
			b[to-1], b[to] = escapeByte, 0x02
			to -= 2
		case escapeByte:
			b[to-1], b[to] = escapeByte, 0x01
			to -= 2
		default:
			b[to] = b[from]
			to--
		}
	}
	return b
}

// unescape undoes escape in place. A last 0x7d with nothing behind it stands for itself: some vehicles escape the
// message and forget its checksum.
func unescape(b []byte) ([]byte, error) {
	to := bytes.IndexByte(b, escapeByte)
	if to < 0 {
		return b, nil
	}
	for from := to; from < len(b); from++ {
		v := b[from]
		if v == escapeByte && from+1 < len(b) {
			from++
			switch b[from] {
			case 0x01:
			case 0x02:
				v = flag
			default:
				return nil, FrameEscape
			}
		}
		b[to] = v
		to++
	}
	return b[:to], nil
}

// unmarshalFrame reads what stands between two flags, unescaping it in place.
func (m *Message) unmarshalFrame(b []byte) error {
	b, err := unescape(b)
	if err != nil {
		return err
	}
	if len(b) > maxMessage {
		return FrameTooLong
	}
	if checksum(b) != 0 {
		return FrameChecksum
	}
	if len(b) == 0 {
		return FrameLength
	}
	return m.unmarshal(b[:len(b)-1])
}
