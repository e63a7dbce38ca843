package audio

import (
	"bytes"
	"slices"
	"testing"

	"multi_process_server/pkg/media"
)

// Item 1 of docs/vehicles.md: HiSilicon's header, which each packet has or has not.
func TestItem01HiSiliconHeader(t *testing.T) {
	for _, c := range []struct {
		name    string
		header  []byte
		payload int
	}{
		{"ADPCM", []byte{0, 1, 82, 0}, 164},
		{"G.711: the count is unsigned", []byte{0, 1, 160, 0}, 320},
		{"the greatest count of one byte", []byte{0, 1, 255, 0}, 510},
		{"16-bit PCM: the count goes on in the last byte", []byte{0, 1, 0x40, 1}, 640},
		{"an odd length", []byte{0, 1, 30, 0}, 61},
	} {
		payload := bytes.Repeat([]byte{0xa5}, c.payload)
		body := append(slices.Clone(c.header), payload...)
		if got, ok := StripHiSilicon(body); !ok || !bytes.Equal(got, payload) {
			t.Errorf("%s: stripped %v, %d bytes are left", c.name, ok, len(got))
		}
		if got := AppendHiSilicon(nil, c.payload); !bytes.Equal(got, c.header) {
			t.Errorf("%s: made % x, want % x", c.name, got, c.header)
		}
	}
	for _, body := range [][]byte{nil, {0}, {0, 1, 0}, {0, 1, 1, 0}, {0, 1, 81, 0, 0, 0}, {1, 0, 0, 0}, {0, 2, 0, 0}} {
		if got, ok := StripHiSilicon(body); ok || len(got) != len(body) {
			t.Errorf("% x was taken for a header", body)
		}
	}
}

func TestItem01PacketsWithAndWithoutHeader(t *testing.T) {
	pcm := speech(640)
	codes := EncodeALaw(nil, pcm)
	want := DecodeALaw(nil, codes)
	d, err := NewDecoder(media.CodecG711A, 6, DecoderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	with := append(AppendHiSilicon(nil, 320), codes[:320]...)
	got, err := d.Decode(nil, with)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = d.Decode(got, codes[320:]); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("samples differ from those of the bare codes")
	}
}
