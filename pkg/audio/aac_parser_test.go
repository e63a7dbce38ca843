package audio

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// adtsOf has ffmpeg make AAC of a sine, as ADTS.
func adtsOf(t *testing.T, rate, channels int) []byte {
	t.Helper()
	return ffmpeg(t, bytesLE(sine(rate, rate, 500, 8000)), "-f", "s16le", "-ar", fmt.Sprint(rate), "-ac", "1", "-i", "-",
		"-c:a", "aac", "-ac", fmt.Sprint(channels), "-f", "adts", "-")
}

func TestItem05AACWithADTS(t *testing.T) {
	for _, c := range []struct{ rate, channels int }{{8000, 1}, {16000, 1}, {44100, 2}, {48000, 1}} {
		stream := adtsOf(t, c.rate, c.channels)
		var p AACParser
		units, err := p.Parse(nil, stream, 0) // all frames in one body
		if err != nil {
			t.Fatal(err)
		}
		index := slices.Index(aacRates[:], c.rate)
		if want := appendASC(nil, aacLC, index, c.channels); !bytes.Equal(p.Config(), want) {
			t.Errorf("%+v: AudioSpecificConfig % x, want % x", c, p.Config(), want)
		}
		var again []byte
		for _, unit := range units {
			again = append(again, withADTS(p.Config(), unit)...)
		}
		length := func(stream []byte) int { return len(ffmpeg(t, stream, "-f", "aac", "-i", "-", "-f", "s16le", "-")) }
		if got, want := length(again), length(stream); got != want || want == 0 {
			t.Errorf("%+v: %d bytes of PCM from %d units, %d from what the vehicle sent", c, got, len(units), want)
		}
		// The same units without ADTS are handed on as they are.
		var raw AACParser
		for i, unit := range units {
			got, err := raw.Parse(nil, unit, uint64(i*aacFrame*1000/c.rate))
			if err != nil || len(got) != 1 || !bytes.Equal(got[0], unit) {
				t.Fatalf("%+v: raw unit %d came back as %d units, %v", c, i, len(got), err)
			}
		}
		if len(units) > paceWindow+1 && !bytes.Equal(raw.Config(), p.Config()) {
			t.Errorf("%+v: AudioSpecificConfig of raw units % x, want % x", c, raw.Config(), p.Config())
		}
	}
}

func TestItem05AACConfigChangesWithTheStream(t *testing.T) {
	var p AACParser
	unit := bytes.Repeat([]byte{1}, 50)
	parse := func(config []byte) []byte {
		t.Helper()
		if units, err := p.Parse(nil, withADTS(config, unit), 0); err != nil || len(units) != 1 {
			t.Fatal(len(units), err)
		}
		return p.Config()
	}
	first := parse(appendASC(nil, aacLC, 11, 1))
	if again := parse(appendASC(nil, aacLC, 11, 1)); &again[0] != &first[0] {
		t.Error("the same configuration is a new slice")
	}
	if other := parse(appendASC(nil, aacLC, 4, 2)); bytes.Equal(other, first) {
		t.Error("a new configuration was not noticed")
	}
}

func TestItem05AACRawConfig(t *testing.T) {
	unit := []byte{0x00, 1, 2, 3}
	pair := []byte{0x20, 1, 2, 3}
	for _, c := range []struct {
		name string
		p    AACParser
		unit []byte
		step uint64
		n    int
		want []byte
	}{
		{"8 kHz by the timestamps", AACParser{}, unit, 128, 17, appendASC(nil, aacLC, 11, 1)},
		{"16 kHz, a channel pair", AACParser{}, pair, 64, 17, appendASC(nil, aacLC, 8, 2)},
		{"timestamps that stand still", AACParser{}, unit, 0, aacGuessAfter, appendASC(nil, aacLC, 11, 1)},
		{"not known yet", AACParser{}, unit, 128, 16, nil},
		{"by option", AACParser{SampleRate: 44100, Channels: 2}, unit, 0, 1, appendASC(nil, aacLC, 4, 2)},
	} {
		for i := range uint64(c.n) {
			if _, err := c.p.Parse(nil, c.unit, i*c.step); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(c.p.Config(), c.want) {
			t.Errorf("%s: % x, want % x", c.name, c.p.Config(), c.want)
		}
	}
}

func TestAACDamage(t *testing.T) {
	config := appendASC(nil, aacLC, 11, 1)
	good := withADTS(config, bytes.Repeat([]byte{1}, 50))
	crc := slices.Clone(good)
	crc[1] &^= 1
	for _, c := range []struct {
		name  string
		body  []byte
		units int
		err   error
	}{
		{"empty", nil, 0, nil},
		{"HiSilicon's header before it", append(AppendHiSilicon(nil, len(good)), good...), 1, nil},
		{"a checksum", crc, 1, nil},
		{"cut off", good[:30], 0, ErrADTS},
		{"cut off after a good one", append(slices.Clone(good), good[:30]...), 1, ErrADTS},
		{"garbage after a good one", append(slices.Clone(good), 1, 2, 3), 1, ErrADTS},
		{"reserved rate", withADTS(appendASC(nil, aacLC, 13, 1), []byte{1}), 0, ErrADTS},
		{"no channels", withADTS(appendASC(nil, aacLC, 11, 0), []byte{1}), 0, ErrADTS},
		{"LATM", []byte{0x56, 0xe0, 3, 0, 0}, 0, ErrLATM},
		{"too long", make([]byte, maxPacket+1), 0, ErrTooLong},
	} {
		var p AACParser
		units, err := p.Parse(nil, c.body, 0)
		if len(units) != c.units || !errors.Is(err, c.err) {
			t.Errorf("%s: %d units, %v; want %d, %v", c.name, len(units), err, c.units, c.err)
		}
	}
}
