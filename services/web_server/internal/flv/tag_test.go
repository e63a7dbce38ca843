package flv

import (
	"bytes"
	"testing"
	"time"

	"multi_process_server/pkg/media"
)

func TestVideoTag(t *testing.T) {
	unit := []byte{0, 0, 0, 1, 0x65}
	tag := AppendVideoPrefix([]byte{0xEE}, media.CodecH264, true, 0x01020304*time.Millisecond, 0x01020304*time.Millisecond+40*time.Millisecond, len(unit))
	tag = AppendTrailer(append(tag, unit...), 1)
	want := []byte{
		0xEE,
		9, 0, 0, 10, 0x02, 0x03, 0x04, 0x01, 0, 0, 0,
		0x17, 1, 0, 0, 40,
		0, 0, 0, 1, 0x65,
		0, 0, 0, 21,
	}
	if !bytes.Equal(tag, want) {
		t.Fatalf("tag\n% x, want\n% x", tag, want)
	}
	if n := Overhead(media.CodecH264) + len(unit); n != len(tag)-1 {
		t.Errorf("Overhead: tag of %d bytes, is %d", n, len(tag)-1)
	}
}

func TestEnhancedVideoTag(t *testing.T) {
	tag := AppendVideoPrefix(nil, media.CodecH265, false, 0, 0, 0)
	want := []byte{9, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0xA1, 'h', 'v', 'c', '1', 0, 0, 0}
	if !bytes.Equal(tag, want) {
		t.Fatalf("tag % x, want % x", tag, want)
	}
	if len(tag) != VideoPrefix(media.CodecH265) {
		t.Errorf("VideoPrefix = %d, is %d", VideoPrefix(media.CodecH265), len(tag))
	}
	config := AppendVideoConfig(nil, media.CodecH265, 0, []byte{1, 2})
	if !bytes.Equal(config[11:18], []byte{0x90, 'h', 'v', 'c', '1', 1, 2}) {
		t.Errorf("configuration % x", config)
	}
}

// A picture must never be shown before it is decoded, whatever a caller's rounding made of it.
func TestCompositionTimeNotNegative(t *testing.T) {
	tag := AppendVideoPrefix(nil, media.CodecH264, false, 10*time.Millisecond, 9*time.Millisecond, 0)
	if !bytes.Equal(tag[13:16], []byte{0, 0, 0}) {
		t.Errorf("composition time % x", tag[13:16])
	}
}

func TestAudioTag(t *testing.T) {
	tag := AppendAudio(nil, 128*time.Millisecond, []byte{0x21})
	want := []byte{8, 0, 0, 3, 0, 0, 128, 0, 0, 0, 0, 0xAF, 1, 0x21, 0, 0, 0, 14}
	if !bytes.Equal(tag, want) {
		t.Fatalf("tag % x, want % x", tag, want)
	}
}
