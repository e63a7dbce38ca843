package jt1078

import "testing"

func TestPayloadType(t *testing.T) {
	for number, name := range map[PayloadType]string{
		1: "G.721", 5: "G.729", 6: "G.711A", 7: "G.711U", 8: "G.726", 12: "DVI4_8K", 19: "AAC", 26: "ADPCMA", 28: "AMR",
		91: "passthrough", 98: "H.264", 99: "H.265", 100: "AVS", 101: "SVAC",
		0: "payload(0)", 29: "payload(29)", 111: "payload(111)", 200: "payload(200)",
	} {
		if number.String() != name {
			t.Errorf("%d is called %q, want %q", uint8(number), number, name)
		}
	}
	for number := range PayloadType(128) {
		if number.IsVideo() != (number >= 98 && number <= 101) || number.IsAudio() != (number >= 1 && number <= 28) {
			t.Errorf("%s: video %v, audio %v", number, number.IsVideo(), number.IsAudio())
		}
	}
}

func TestMarks(t *testing.T) {
	for mark, want := range map[Subpackage]struct {
		name         string
		starts, ends bool
	}{
		SubpackageAtomic: {"atomic", true, true}, SubpackageFirst: {"first", true, false},
		SubpackageLast: {"last", false, true}, SubpackageMiddle: {"middle", false, false},
		7: {"subpackage(7)", false, false},
	} {
		if mark.String() != want.name || mark.Starts() != want.starts || mark.Ends() != want.ends {
			t.Errorf("%s: starts %v, ends %v, want %+v", mark, mark.Starts(), mark.Ends(), want)
		}
	}
	for dataType, name := range map[DataType]string{
		DataI: "I", DataP: "P", DataB: "B", DataAudio: "audio", DataPassthrough: "passthrough", 5: "data(5)",
	} {
		if dataType.String() != name || dataType.IsVideo() != (dataType <= 2) {
			t.Errorf("%s: want %s, video %v", dataType, name, dataType.IsVideo())
		}
	}
}
