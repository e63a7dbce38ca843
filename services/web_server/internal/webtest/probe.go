package webtest

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strconv"
	"testing"
)

// Probe is what ffprobe says of some seconds of a stream.
type Probe struct {
	Streams []ProbeStream `json:"streams"`
	Packets []ProbePacket `json:"packets"`
}

// ProbeStream is one track.
type ProbeStream struct {
	CodecType  string `json:"codec_type"`
	CodecName  string `json:"codec_name"`
	Width      int    `json:"width"`
	Height     int    `json:"height"`
	SampleRate string `json:"sample_rate"`
	Channels   int    `json:"channels"`
}

// ProbePacket is one access unit.
type ProbePacket struct {
	CodecType string `json:"codec_type"`
	DTS       string `json:"dts_time"`
	PTS       string `json:"pts_time"`
	Flags     string `json:"flags"`
}

// Seconds is the packet's decoding time.
func (p *ProbePacket) Seconds() float64 {
	s, err := strconv.ParseFloat(p.DTS, 64)
	if err != nil {
		return -1
	}
	return s
}

// Run has ffprobe watch a URL for some seconds of the stream's time.
func Run(t testing.TB, url string, seconds int) *Probe {
	t.Helper()
	ffprobe := Require(t, "ffprobe", "ffmpeg")
	ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
	defer cancel()
	output, err := exec.CommandContext(ctx, ffprobe, "-v", "error", "-of", "json", "-show_streams", "-show_packets",
		"-read_intervals", "%+"+strconv.Itoa(seconds), url).Output()
	if err != nil {
		var said []byte
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			said = exit.Stderr
		}
		t.Fatalf("ffprobe %s: %v: %s", url, err, said)
	}
	var probe Probe
	if err := json.Unmarshal(output, &probe); err != nil {
		t.Fatal(err)
	}
	return &probe
}

// Stream is the track of a type, "video" or "audio".
func (p *Probe) Stream(t testing.TB, codecType string) ProbeStream {
	t.Helper()
	for _, s := range p.Streams {
		if s.CodecType == codecType {
			return s
		}
	}
	t.Fatalf("no %s among %+v", codecType, p.Streams)
	return ProbeStream{}
}

// CheckPlayable fails unless there are H.264 and AAC whose decoding times grow.
func (p *Probe) CheckPlayable(t testing.TB) {
	t.Helper()
	if name := p.Stream(t, "video").CodecName; name != "h264" {
		t.Errorf("video is %s", name)
	}
	if name := p.Stream(t, "audio").CodecName; name != "aac" {
		t.Errorf("audio is %s", name)
	}
	last := map[string]float64{"video": -1, "audio": -1}
	count := map[string]int{}
	for _, packet := range p.Packets {
		if at := packet.Seconds(); at <= last[packet.CodecType] {
			t.Errorf("%s packet %d: dts %v after %v", packet.CodecType, count[packet.CodecType], at, last[packet.CodecType])
		} else {
			last[packet.CodecType] = at
		}
		count[packet.CodecType]++
	}
	if count["video"] < 10 || count["audio"] < 3 {
		t.Errorf("only %v packets", count)
	}
}
