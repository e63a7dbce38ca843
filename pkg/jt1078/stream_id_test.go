package jt1078

import (
	"errors"
	"strings"
	"testing"
)

func TestParseStreamID(t *testing.T) {
	for _, ca := range []struct {
		name    string
		sim     string
		channel uint8
	}{
		{"06495940943803", "064959409438", 3},
		{"01391234567801", "013912345678", 1},
		{"01391234567864", "013912345678", 64},
		{"00000000000001", "000000000000", 1},
		{"0a4f5e40943803", "0a4f5e409438", 3},
		{"0000000106495940943812", "00000001064959409438", 12},
		{"1234567890123456789001", "12345678901234567890", 1},
	} {
		t.Run(ca.name, func(t *testing.T) {
			id, err := ParseStreamID(ca.name)
			if err != nil {
				t.Fatal(err)
			}
			if id.SIM.String() != ca.sim || id.Channel != ca.channel {
				t.Fatalf("got SIM %s channel %d, want %s and %d", id.SIM, id.Channel, ca.sim, ca.channel)
			}
			if id.String() != ca.name {
				t.Fatalf("written as %s", id)
			}
		})
	}
}

func TestParseStreamIDRefuses(t *testing.T) {
	for _, name := range []string{
		"", "1", "03", "hello", "064959409438", "06495940943800", "06495940943865", "0649594094380x",
		"0649594094 803", "06495940943803.flv", "0649594094380306495940943803", "../../../../etc", "064959409g3803",
		"06495940943８３", "+6495940943803", "\x00\x00\x00",
	} {
		id, err := ParseStreamID(name)
		if !errors.Is(err, ErrStreamID) {
			t.Errorf("%q: got %v, %v; want ErrStreamID", name, id, err)
		}
		if id != (StreamID{}) {
			t.Errorf("%q: an id beside the error: %v", name, id)
		}
	}
}

func TestParseStreamIDNamesTheCanonicalForm(t *testing.T) {
	for name, canonical := range map[string]string{
		"6495940943803":          "06495940943803", // a leading zero is missing
		"13912345678" + "01":     "01391234567801",
		"0000000006495940943803": "06495940943803", // a 2013 vehicle written as a 2019 one
		"106495940943812":        "0000000106495940943812",
		"0A4F5E40943803":         "0a4f5e40943803",
		"101":                    "00000000000101",
	} {
		_, err := ParseStreamID(name)
		var wrong *NotCanonicalError
		if !errors.As(err, &wrong) || !errors.Is(err, ErrStreamID) {
			t.Errorf("%q: got %v, want a NotCanonicalError", name, err)
			continue
		}
		if text := err.Error(); !strings.Contains(text, name) || !strings.Contains(text, canonical) {
			t.Errorf("%q: the error reads %q", name, text)
		}
		if wrong.Name != name || wrong.Canonical.String() != canonical {
			t.Errorf("%q: error names %q and %s, want %s", name, wrong.Name, wrong.Canonical, canonical)
		}
	}
}

// Item 22: a SIM is the same vehicle with and without its leading zeros, in six bytes and in ten.
func TestSIMHasOneForm(t *testing.T) {
	want := SIM{4: 0x01, 5: 0x39, 6: 0x12, 7: 0x34, 8: 0x56, 9: 0x78}
	for _, text := range []string{"13912345678", "013912345678", "00000000013912345678"} {
		sim, err := ParseSIM(text)
		if err != nil || sim != want {
			t.Errorf("%s: got %v, %v", text, sim, err)
		}
	}
	for _, b := range [][]byte{
		{0x01, 0x39, 0x12, 0x34, 0x56, 0x78},
		{0, 0, 0, 0, 0x01, 0x39, 0x12, 0x34, 0x56, 0x78},
	} {
		if sim := SIMFromBytes(b); sim != want {
			t.Errorf("% x: got %v", b, sim)
		}
	}
	if want.Long() || want.String() != "013912345678" {
		t.Errorf("written as %s, long %v", want, want.Long())
	}
}

// Item 23: a SIM that is not BCD keeps its hex digits.
func TestSIMKeepsHex(t *testing.T) {
	sim := SIMFromBytes([]byte{0x00, 0x03, 0x3d, 0x4e, 0xfa, 0x1e})
	if sim.String() != "00033d4efa1e" {
		t.Fatalf("written as %s", sim)
	}
	id, err := ParseStreamID(sim.String() + "01")
	if err != nil || id.SIM != sim {
		t.Fatalf("read back as %v, %v", id, err)
	}
}

func TestParseSIMRefuses(t *testing.T) {
	for _, text := range []string{"", "01391234567g", "123456789012345678901", "0139 1234567", "-1", "é1"} {
		if sim, err := ParseSIM(text); err == nil || sim != (SIM{}) {
			t.Errorf("%q: got %v, %v", text, sim, err)
		}
	}
}

func TestKind(t *testing.T) {
	for kind, name := range map[Kind]string{KindLive: "live", KindReplay: "replay", KindTalk: "talk"} {
		if got, err := ParseKind(name); err != nil || got != kind || kind.String() != name {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "Live", "history", "kind(0)"} {
		if kind, err := ParseKind(name); err == nil {
			t.Errorf("%q: got %v", name, kind)
		}
	}
	if got := Kind(9).String(); got != "kind(9)" {
		t.Errorf("unknown kind is %q", got)
	}
	id, _ := ParseStreamID("06495940943803")
	if got := (Key{Kind: KindLive, ID: id}).String(); got != "live/06495940943803" {
		t.Errorf("key is %q", got)
	}
}

func FuzzParseStreamID(f *testing.F) {
	for _, name := range []string{"06495940943803", "6495940943803", "0000000006495940943803", "00033d4efa1e01", "x"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id, err := ParseStreamID(name)
		if err == nil {
			if id.String() != name {
				t.Fatalf("%q is accepted and written as %q", name, id)
			}
			return
		}
		if !errors.Is(err, ErrStreamID) {
			t.Fatalf("%q: %v is not an ErrStreamID", name, err)
		}
		var wrong *NotCanonicalError
		if errors.As(err, &wrong) {
			again, err := ParseStreamID(wrong.Canonical.String())
			if err != nil || again != wrong.Canonical {
				t.Fatalf("%q: the canonical form %s is not accepted: %v", name, wrong.Canonical, err)
			}
		}
	})
}
