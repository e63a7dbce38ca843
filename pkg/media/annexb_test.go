package media

import (
	"bytes"
	"testing"
)

var (
	h264SPSUnit = []byte{0x67, 0x4d, 0x40, 0x0d, 0xec, 0xa0, 0xb0, 0x4b, 0x60, 0x22, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x64, 0x1e, 0x28, 0x53, 0x2c}
	h264PPSUnit = []byte{0x68, 0xeb, 0xe3, 0xcb, 0x20}
	h264IDRUnit = []byte{0x65, 0x88, 0x84, 0x00, 0x10}
	h264PUnit   = []byte{0x41, 0x9a, 0x24, 0x6c}
	h264SEIUnit = []byte{0x06, 0x05, 0xff, 0xff, 0x80}
	h264AUDUnit = []byte{0x09, 0xf0}

	h265VPSUnit = []byte{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a, 0x95, 0x98, 0x09}
	h265SPSUnit = []byte{0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a, 0xa0, 0x05, 0x82, 0x00, 0x90, 0x59, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40}
	h265PPSUnit = []byte{0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40}
	h265IDRUnit = []byte{0x26, 0x01, 0xaf, 0x1d, 0x80}
	h265PUnit   = []byte{0x02, 0x01, 0xd0, 0x09, 0x7e}
	h265SEIUnit = []byte{0x4e, 0x01, 0x05, 0xff, 0x80}
)

// annexB joins NAL units with start codes of 4 and 3 bytes in turn.
func annexB(nalus ...[]byte) []byte {
	var au []byte
	for i, nalu := range nalus {
		if i%2 == 0 {
			au = append(au, 0)
		}
		au = append(append(au, 0, 0, 1), nalu...)
	}
	return au
}

func equalNALUs(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func TestAppendNALUs(t *testing.T) {
	for _, c := range []struct {
		name string
		au   []byte
		want [][]byte
	}{
		{"nothing", nil, nil},
		{"no start code", []byte{1, 2, 3}, nil},
		{"a start code alone", []byte{0, 0, 0, 1}, nil},
		{"one", annexB(h264PUnit), [][]byte{h264PUnit}},
		{"3 and 4 bytes of start code", annexB(h264SPSUnit, h264PPSUnit, h264IDRUnit), [][]byte{h264SPSUnit, h264PPSUnit, h264IDRUnit}},
		{"garbage first", append([]byte{9, 9}, annexB(h264PUnit)...), [][]byte{h264PUnit}},
		{"trailing zeros", append(annexB(h264PUnit), 0, 0, 0), [][]byte{h264PUnit}},
		{"empty units", []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0x41, 0x9a}, [][]byte{{0x41, 0x9a}}},
	} {
		if got := AppendNALUs(nil, c.au); !equalNALUs(got, c.want) {
			t.Errorf("%s: got %x, want %x", c.name, got, c.want)
		}
	}
}

func TestAppendNALUsIsBounded(t *testing.T) {
	au := bytes.Repeat([]byte{0, 0, 1, 0x41}, 10*MaxNALUs)
	if n := len(AppendNALUs(nil, au)); n != MaxNALUs {
		t.Errorf("%d NAL units, want %d", n, MaxNALUs)
	}
	au = bytes.Repeat([]byte{0, 0, 1, 0x06}, 10*MaxNALUs)
	if nalus, _ := AppendHead(nil, au, CodecH264); len(nalus) != MaxNALUs {
		t.Errorf("head: %d NAL units, want %d", len(nalus), MaxNALUs)
	}
}

func TestAppendHead(t *testing.T) {
	for _, c := range []struct {
		name    string
		nalus   [][]byte
		hint    Codec
		codec   Codec
		key     bool
		picture bool
		sets    bool
	}{
		{"H.264 key", [][]byte{h264SPSUnit, h264PPSUnit, h264SEIUnit, h264IDRUnit}, CodecH264, CodecH264, true, true, true},
		{"H.264 key said to be H.265", [][]byte{h264AUDUnit, h264SPSUnit, h264PPSUnit, h264IDRUnit}, CodecH265, CodecH264, true, true, true},
		{"H.264 delta said to be H.265", [][]byte{h264AUDUnit, h264PUnit}, CodecH265, CodecH264, false, true, false},
		{"H.264 sets alone", [][]byte{h264SPSUnit, h264PPSUnit}, CodecUnknown, CodecH264, false, false, true},
		{"H.265 key", [][]byte{h265VPSUnit, h265SPSUnit, h265PPSUnit, h265SEIUnit, h265IDRUnit}, CodecH265, CodecH265, true, true, true},
		{"H.265 key said to be H.264", [][]byte{h265VPSUnit, h265SPSUnit, h265PPSUnit, h265IDRUnit}, CodecH264, CodecH265, true, true, true},
		{"H.265 key without sets said to be H.264", [][]byte{h265IDRUnit}, CodecH264, CodecH265, true, true, false},
		{"H.265 delta said to be H.264", [][]byte{h265PUnit}, CodecH264, CodecH265, false, true, false},
		{"neither", [][]byte{{0x9f, 1, 2}}, CodecH264, CodecH264, false, false, false},
	} {
		nalus, codec := AppendHead(nil, annexB(c.nalus...), c.hint)
		if !equalNALUs(nalus, c.nalus) || codec != c.codec {
			t.Errorf("%s: %s %x", c.name, codec, nalus)
		}
		if key := ContainsKey(codec, nalus); key != c.key {
			t.Errorf("%s: key %v", c.name, key)
		}
		if picture := ContainsPicture(codec, nalus); picture != c.picture {
			t.Errorf("%s: picture %v", c.name, picture)
		}
		if sets := ContainsParameterSets(codec, nalus); sets != c.sets {
			t.Errorf("%s: parameter sets %v", c.name, sets)
		}
	}
}

func TestAppendHeadStopsAtTheFirstSlice(t *testing.T) {
	au := annexB(h264SPSUnit, h264IDRUnit, h264IDRUnit)
	nalus, _ := AppendHead(nil, au, CodecH264)
	if len(nalus) != 2 || len(nalus[1]) != 2*len(h264IDRUnit)+4 {
		t.Errorf("got %x", nalus)
	}
}

func FuzzAppendNALUs(f *testing.F) {
	f.Add(annexB(h264SPSUnit, h264PPSUnit, h264IDRUnit))
	f.Add(annexB(h265VPSUnit, h265SPSUnit, h265PPSUnit, h265IDRUnit))
	f.Add([]byte{0, 0, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, au []byte) {
		for _, nalu := range AppendNALUs(nil, au) {
			if len(nalu) == 0 || bytes.Contains(nalu, startCode) || nalu[len(nalu)-1] == 0 {
				t.Fatalf("NAL unit %x of %x", nalu, au)
			}
		}
		for _, hint := range []Codec{CodecUnknown, CodecH264, CodecH265} {
			nalus, codec := AppendHead(nil, au, hint)
			ContainsKey(codec, nalus)
			var sets ParameterSets
			_, _ = sets.Observe(codec, nalus)
			width, height := sets.Size(codec)
			if len(sets.SPS) > 0 && (width < 1 || height < 1) {
				t.Fatalf("%s SPS %x was taken: %d × %d", codec, sets.SPS, width, height)
			}
		}
	})
}

func BenchmarkAppendHead(b *testing.B) {
	key := annexB(h264SPSUnit, h264PPSUnit, append(bytes.Clone(h264IDRUnit), bytes.Repeat([]byte{0x5a}, 50_000)...))
	var nalus [][]byte
	b.ReportAllocs()
	for b.Loop() {
		nalus, _ = AppendHead(nalus[:0], key, CodecH264)
	}
}
