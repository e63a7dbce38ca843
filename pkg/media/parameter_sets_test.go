package media

import (
	"bytes"
	"errors"
	"testing"
)

func TestParameterSets(t *testing.T) {
	for _, c := range []struct {
		codec         Codec
		nalus         [][]byte
		width, height int
	}{
		{CodecH264, [][]byte{h264SPSUnit, h264PPSUnit}, 352, 288},
		{CodecH265, [][]byte{h265VPSUnit, h265SPSUnit, h265PPSUnit}, 704, 576},
	} {
		var sets ParameterSets
		if sets.Complete(c.codec) {
			t.Errorf("%s: complete from nothing", c.codec)
		}
		for i, nalu := range c.nalus {
			if changed, err := sets.Observe(c.codec, [][]byte{nalu}); !changed || err != nil {
				t.Errorf("%s: %x: changed %v, %v", c.codec, nalu, changed, err)
			}
			if got, want := sets.Complete(c.codec), i == len(c.nalus)-1; got != want {
				t.Errorf("%s: complete %v after %d sets", c.codec, got, i+1)
			}
		}
		if changed, err := sets.Observe(c.codec, c.nalus); changed || err != nil {
			t.Errorf("%s: the same again: changed %v, %v", c.codec, changed, err)
		}
		if w, h := sets.Size(c.codec); w != c.width || h != c.height {
			t.Errorf("%s: %d × %d", c.codec, w, h)
		}
		if got := AppendNALUs(nil, sets.AppendAnnexB(nil)); !equalNALUs(got, c.nalus) {
			t.Errorf("%s: Annex B %x", c.codec, got)
		}
	}
}

func TestParameterSetsAreCopies(t *testing.T) {
	sps := bytes.Clone(h264SPSUnit)
	var sets ParameterSets
	if _, err := sets.Observe(CodecH264, [][]byte{sps}); err != nil {
		t.Fatal(err)
	}
	clear(sps)
	if !bytes.Equal(sets.SPS, h264SPSUnit) {
		t.Error("the set changed with its source")
	}
}

func TestParameterSetsOfAnotherCodecReplaceAll(t *testing.T) {
	var sets ParameterSets
	if _, err := sets.Observe(CodecH265, [][]byte{h265VPSUnit, h265SPSUnit, h265PPSUnit}); err != nil {
		t.Fatal(err)
	}
	if _, err := sets.Observe(CodecH264, [][]byte{h264SPSUnit}); err != nil {
		t.Fatal(err)
	}
	if sets.VPS != nil || sets.PPS != nil || !bytes.Equal(sets.SPS, h264SPSUnit) {
		t.Errorf("left over: %+v", sets)
	}
}

func TestParameterSetsTakeTheFirstOfEachType(t *testing.T) {
	second := []byte{0x68, 0x5a, 0x11, 0x22}
	var sets ParameterSets
	for range 2 {
		if _, err := sets.Observe(CodecH264, [][]byte{h264SPSUnit, h264PPSUnit, second}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(sets.PPS, h264PPSUnit) {
		t.Errorf("PPS %x", sets.PPS)
	}
}

func TestMalformedSPSIsKeptOut(t *testing.T) {
	for _, c := range []struct {
		name  string
		codec Codec
		sps   []byte
	}{
		{"one byte", CodecH264, []byte{0x67}},
		{"cut short", CodecH264, h264SPSUnit[:6]},
		{"all zeros", CodecH264, append([]byte{0x67}, make([]byte, 40)...)},
		{"too long", CodecH264, append(bytes.Clone(h264SPSUnit), make([]byte, maxParameterSetSize)...)},
		{"H.265 cut short", CodecH265, h265SPSUnit[:12]},
		{"H.265 all ones", CodecH265, append([]byte{0x42, 0x01}, bytes.Repeat([]byte{0xff}, 60)...)},
	} {
		var sets ParameterSets
		pps := h264PPSUnit
		if c.codec == CodecH265 {
			pps = h265PPSUnit
		}
		changed, err := sets.Observe(c.codec, [][]byte{c.sps, pps})
		if !errors.Is(err, ErrParameterSet) || sets.SPS != nil {
			t.Errorf("%s: SPS %x, error %v", c.name, sets.SPS, err)
		}
		if !changed || sets.PPS == nil {
			t.Errorf("%s: the good PPS beside it was not taken", c.name)
		}
	}
}

// Every single-bit error and every truncation of an SPS is refused or makes a picture of a sane size.
func TestDamagedSPSNeverMisleads(t *testing.T) {
	for _, good := range []struct {
		codec Codec
		sps   []byte
	}{{CodecH264, h264SPSUnit}, {CodecH265, h265SPSUnit}} {
		check := func(sps []byte) {
			var sets ParameterSets
			_, err := sets.Observe(good.codec, [][]byte{sps})
			w, h := sets.Size(good.codec)
			if (sets.SPS != nil) != (w > 0 && h > 0) || sets.SPS != nil && err != nil {
				t.Errorf("%s %x: %d × %d, %v", good.codec, sps, w, h, err)
			}
		}
		for bit := range 8 * len(good.sps) {
			sps := bytes.Clone(good.sps)
			sps[bit/8] ^= 1 << (bit % 8)
			check(sps)
		}
		for n := 1; n < len(good.sps); n++ {
			check(good.sps[:n])
		}
	}
}
