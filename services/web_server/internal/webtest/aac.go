package webtest

import (
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// AAC is some seconds of a tone.
type AAC struct {
	SampleRate int
	// Packets have one unit of 1,024 samples each, in ADTS without a CRC.
	Packets [][]byte
}

// NewAAC makes AAC-LC with ffmpeg.
func NewAAC(t testing.TB, rate, channels int) *AAC {
	t.Helper()
	stream, err := exec.Command(Require(t, "ffmpeg", "ffmpeg"), "-v", "error", "-f", "lavfi",
		"-i", fmt.Sprintf("sine=440:r=%d:d=4,volume=12dB", rate), "-ac", fmt.Sprint(channels), "-c:a", "aac", "-f", "adts", "-").Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	a := &AAC{SampleRate: rate}
	for len(stream) > 7 {
		length := int(stream[3]&3)<<11 | int(stream[4])<<3 | int(stream[5]>>5) // aac_frame_length, ISO/IEC 13818-7 clause 6.2
		a.Packets = append(a.Packets, stream[:length])
		stream = stream[length:]
	}
	return a
}

// Unit is how long a packet lasts.
func (a *AAC) Unit() time.Duration { return 1024 * time.Second / time.Duration(a.SampleRate) }

// due are the packets that end with the n-th picture.
func (a *AAC) due(n int) (packets [][]byte) {
	from, to := int(FrameTime*time.Duration(n)/a.Unit()), int(FrameTime*time.Duration(n+1)/a.Unit())
	for i := from; i < to; i++ {
		packets = append(packets, a.Packets[i%len(a.Packets)])
	}
	return packets
}
