package relayv1

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"multi_process_server/pkg/media"
)

// Field numbers of relay.proto.
const (
	eventFrame = 1
	eventState = 2

	frameSequence         = 1
	frameType             = 2
	frameCodec            = 3
	framePayloadType      = 4
	framePTS              = 5
	frameReceived         = 6
	frameData             = 7
	frameVehicleTimestamp = 8
)

// FrameEventSize is how many bytes AppendFrameEvent adds for f.
func FrameEventSize(f *media.Frame) int {
	n := frameSize(f)
	return protowire.SizeTag(eventFrame) + protowire.SizeBytes(n)
}

// AppendFrameEvent appends Event{frame: f} to dst: header and payload in one piece, the same bytes that the protobuf
// library writes, without building its messages first. f.Data is copied.
func AppendFrameEvent(dst []byte, f *media.Frame) []byte {
	dst = protowire.AppendTag(dst, eventFrame, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(frameSize(f)))
	dst = appendUint(dst, frameSequence, f.Sequence)
	dst = appendUint(dst, frameType, uint64(f.Type))
	dst = appendUint(dst, frameCodec, uint64(f.Codec))
	dst = appendUint(dst, framePayloadType, uint64(f.PayloadType))
	dst = appendUint(dst, framePTS, uint64(f.PTS.Microseconds()))
	dst = appendUint(dst, frameReceived, uint64(receivedMicros(f)))
	if len(f.Data) > 0 {
		dst = protowire.AppendTag(dst, frameData, protowire.BytesType)
		dst = protowire.AppendBytes(dst, f.Data)
	}
	return appendUint(dst, frameVehicleTimestamp, f.VehicleTimestamp)
}

// frameSize is the size of the Frame message alone.
func frameSize(f *media.Frame) int {
	n := sizeUint(frameSequence, f.Sequence) +
		sizeUint(frameType, uint64(f.Type)) +
		sizeUint(frameCodec, uint64(f.Codec)) +
		sizeUint(framePayloadType, uint64(f.PayloadType)) +
		sizeUint(framePTS, uint64(f.PTS.Microseconds())) +
		sizeUint(frameReceived, uint64(receivedMicros(f))) +
		sizeUint(frameVehicleTimestamp, f.VehicleTimestamp)
	if len(f.Data) > 0 {
		n += protowire.SizeTag(frameData) + protowire.SizeBytes(len(f.Data))
	}
	return n
}

// receivedMicros is 0, which is not sent, for a frame that bears no time.
func receivedMicros(f *media.Frame) int64 {
	if f.Received.IsZero() {
		return 0
	}
	return f.Received.UnixMicro()
}

// appendUint writes a varint field; like all of proto3, not when it is 0.
func appendUint(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

func sizeUint(field protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeVarint(v)
}

// AppendStateEvent appends Event{state: s} to dst. States are rare, so the protobuf library does it. A detail that is
// not UTF-8, which protobuf would refuse, is repaired in s.
func AppendStateEvent(dst []byte, s *State) []byte {
	s.Detail = strings.ToValidUTF8(s.Detail, "\uFFFD")
	// Marshalling fails for invalid UTF-8 and for proto2's missing required fields, so not here.
	dst, _ = proto.MarshalOptions{}.MarshalAppend(dst, &Event{State: s})
	return dst
}

// Received is an Event in the consumer's form. One field is set; neither is when the sender speaks of something newer.
type Received struct {
	// Frame is newly made for each event; its Data aliases what Unmarshal was given.
	Frame *media.Frame
	State *State
}

// Unmarshal parses an Event and reads it as the protobuf library would, with one difference: a number that has no
// place in media.Frame, such as a frame type above 255, becomes 0, which means unknown. The result aliases b: the
// caller gives b away. An error leaves r in no particular state.
func (r *Received) Unmarshal(b []byte) error {
	*r = Received{}
	for len(b) > 0 {
		field, wireType, n, err := consumeTag(b)
		if err != nil {
			return fmt.Errorf("relay event: %w", err)
		}
		b = b[n:]
		if wireType != protowire.BytesType || field != eventFrame && field != eventState {
			if n = protowire.ConsumeFieldValue(field, wireType, b); n < 0 {
				return fmt.Errorf("relay event: field %d: %w", field, protowire.ParseError(n))
			}
			b = b[n:]
			continue
		}
		message, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return fmt.Errorf("relay event: field %d: %w", field, protowire.ParseError(n))
		}
		b = b[n:]
		// A message that comes twice is merged, as protobuf demands.
		if field == eventFrame {
			if r.Frame == nil {
				r.Frame = &media.Frame{}
			}
			err = unmarshalFrame(message, r.Frame)
		} else {
			if r.State == nil {
				r.State = &State{}
			}
			err = proto.UnmarshalOptions{Merge: true}.Unmarshal(message, r.State)
		}
		if err != nil {
			return fmt.Errorf("relay event: %w", err)
		}
	}
	return nil
}

var (
	errPTS   = errors.New("pts_us is beyond 290,000 years")
	errField = errors.New("field number out of range")
)

// consumeTag reads a field's tag of n bytes. protowire lets numbers pass that protobuf does not have.
func consumeTag(b []byte) (field protowire.Number, wireType protowire.Type, n int, err error) {
	field, wireType, n = protowire.ConsumeTag(b)
	switch {
	case n < 0:
		err = protowire.ParseError(n)
	case field > protowire.MaxValidNumber:
		err = errField
	}
	return field, wireType, n, err
}

func unmarshalFrame(b []byte, f *media.Frame) error {
	for len(b) > 0 {
		field, wireType, n, err := consumeTag(b)
		if err != nil {
			return err
		}
		b = b[n:]
		switch {
		case field == frameData && wireType == protowire.BytesType:
			data, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			f.Data, b = data, b[n:]
		case wireType == protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
			if err := setFrameField(f, field, v); err != nil {
				return err
			}
		default:
			if n = protowire.ConsumeFieldValue(field, wireType, b); n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
		}
	}
	return nil
}

func setFrameField(f *media.Frame, field protowire.Number, v uint64) error {
	switch field {
	case frameSequence:
		f.Sequence = v
	case frameType:
		f.Type = media.FrameType(byteOrZero(v))
	case frameCodec:
		f.Codec = media.Codec(byteOrZero(v))
	case framePayloadType:
		f.PayloadType = byteOrZero(v)
	case framePTS:
		us := int64(v)
		if us > math.MaxInt64/1000 || us < math.MinInt64/1000 {
			return errPTS
		}
		f.PTS = time.Duration(us) * time.Microsecond
	case frameReceived:
		f.Received = time.Time{}
		if v != 0 {
			f.Received = time.UnixMicro(int64(v))
		}
	case frameVehicleTimestamp:
		f.VehicleTimestamp = v
	}
	return nil
}

// byteOrZero narrows a value of 32 bits (protobuf cuts varints to their field's width).
func byteOrZero(v uint64) uint8 {
	if v = uint64(uint32(v)); v > math.MaxUint8 {
		return 0
	}
	return uint8(v)
}
