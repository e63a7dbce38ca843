package rtsp

import "time"

// track numbers the tracks of a stream, in the SDP's order.
type track int

const (
	trackVideo track = iota
	trackAudio
	trackCount
)

// clockRates are the RTP clocks in Hz (RFC 6184 and RFC 7798; RFC 3551).
var clockRates = [trackCount]int64{90000, 8000}

func (t track) String() string {
	if t == trackVideo {
		return "video"
	}
	return "audio"
}

// ticks is a time on the stream's clock in units of the track's RTP clock.
func (t track) ticks(pts time.Duration) int64 {
	return pts.Microseconds() * (clockRates[t] / 1000) / 1000
}

// duration is the inverse of ticks.
func (t track) duration(ticks int64) time.Duration {
	return time.Duration(ticks*1000/(clockRates[t]/1000)) * time.Microsecond
}

// Payload types: G.711's are fixed by RFC 3551, video's is the first dynamic one.
const (
	payloadTypeVideo = 96
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
	timestamp int64 // the stream's clock in the track's ticks
	payloads  [][]byte
	size      int // bytes of all payloads
}
