package rtsp

import "time"

// track numbers the tracks of a stream, in the SDP's order.
type track int

const (
	trackVideo track = iota
	trackAudio
	trackCount
)

func (t track) String() string {
	if t == trackVideo {
		return "video"
	}
	return "audio"
}

// clock is the rate of a track's RTP clock in Hz.
type clock int64

// Clocks: RFC 6184 and RFC 7798; RFC 3551. AAC's is its sample rate (RFC 3640).
const (
	videoClock clock = 90000
	g711Clock  clock = 8000
)

// ticks is a time on the stream's clock in units of this one. Whole seconds go apart, so that years do not overflow.
func (c clock) ticks(pts time.Duration) int64 {
	us, rate := pts.Microseconds(), int64(c)
	return us/1e6*rate + us%1e6*rate/1e6
}

// duration is the inverse of ticks.
func (c clock) duration(ticks int64) time.Duration {
	rate := int64(c)
	return time.Duration(ticks/rate)*time.Second + time.Duration(ticks%rate*1e6/rate)*time.Microsecond
}

// Payload types: G.711's are fixed by RFC 3551, the others are dynamic.
const (
	payloadTypeVideo = 96
	payloadTypeAAC   = 97
	payloadTypeULaw  = 0
	payloadTypeALaw  = 8
)

// maxPayload is how much of a frame goes into an RTP packet, in bytes: a packet of 1,500 less the headers of IP, UDP
// and RTP, with room for those of a tunnel.
const maxPayload = 1400

// unit is an access unit or a packet of sound, cut into the payloads of RTP packets. It is made once, shared by all
// viewers, and never written to after that.
type unit struct {
	track     track
	key       bool  // a decoder can start here
	marked    bool  // the last packet bears RTP's marker: it completes an access unit
	timestamp int64 // the stream's clock in the track's ticks
	payloads  [][]byte
	size      int // bytes of all payloads
}
