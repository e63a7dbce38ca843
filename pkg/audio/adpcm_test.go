package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"testing"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
)

// recordedADPCM is the sound of a recording: blocks of 164 bytes after HiSilicon's header.
func recordedADPCM(t *testing.T) [][]byte {
	t.Helper()
	r := jt1078.NewReader(bytes.NewReader(recording(t, "xtream-sim6-h264-adpcm.bin")), jt1078.ReaderOptions{})
	var bodies [][]byte
	for {
		var p jt1078.Packet
		if err := r.Read(&p); errors.Is(err, io.EOF) {
			return bodies
		} else if err != nil {
			t.Fatal(err)
		}
		if p.PayloadType == jt1078.PayloadADPCMA {
			bodies = append(bodies, bytes.Clone(p.Body))
		}
	}
}

func swapNibbles(b []byte) []byte {
	swapped := make([]byte, len(b))
	for i, c := range b {
		swapped[i] = c<<4 | c>>4
	}
	return swapped
}

// wavADPCM is a file of the blocks as ffmpeg's adpcm_ima_wav reads them: low nibble first.
func wavADPCM(blocks [][]byte, blockSize int) []byte {
	var data []byte
	for _, b := range blocks {
		data = append(append(data, b[:adpcmState]...), swapNibbles(b[adpcmState:])...)
	}
	le := binary.LittleEndian
	samples := (blockSize-adpcmState)*2 + 1
	h := append([]byte("RIFF"), le.AppendUint32(nil, uint32(52+len(data)))...)
	h = append(h, "WAVEfmt "...)
	h = le.AppendUint32(h, 20)
	for _, v := range []uint16{0x11, 1, 8000, 0, 4055, 0, uint16(blockSize), 4, 2, uint16(samples)} {
		h = le.AppendUint16(h, v)
	}
	h = append(h, "fact"...)
	h = le.AppendUint32(le.AppendUint32(h, 4), uint32(samples*len(blocks)))
	h = append(h, "data"...)
	return append(le.AppendUint32(h, uint32(len(data))), data...)
}

func decodeAll(t *testing.T, d Decoder, bodies [][]byte) []int16 {
	t.Helper()
	var pcm []int16
	for _, body := range bodies {
		var err error
		if pcm, err = d.Decode(pcm, body); err != nil {
			t.Fatal(err)
		}
	}
	return pcm
}

func mustDecoder(t testing.TB, codec media.Codec, payloadType uint8, opts DecoderOptions) Decoder {
	t.Helper()
	d, err := NewDecoder(codec, payloadType, opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestItem02ADPCMAsFFmpeg(t *testing.T) {
	bodies := recordedADPCM(t)
	var blocks [][]byte
	for _, body := range bodies {
		block, ok := StripHiSilicon(body)
		if !ok || len(block) != 164 {
			t.Fatalf("a block of %d bytes, header %v", len(block), ok)
		}
		blocks = append(blocks, block)
	}
	if len(blocks) != 28 {
		t.Fatalf("%d blocks, want 28", len(blocks))
	}
	var want []int16
	for _, block := range chunks(samplesLE(ffmpeg(t, wavADPCM(blocks, 164), "-i", "-", "-f", "s16le", "-")), 321) {
		want = append(want, block[1:]...) // ffmpeg gives the state out as a sample
	}
	if got := decodeAll(t, mustDecoder(t, media.CodecADPCM, 26, DecoderOptions{}), bodies); !slices.Equal(got, want) {
		t.Error("differs from ffmpeg's adpcm_ima_wav")
	}
}

// Where one block ends the next begins, to the last bit by the document's arithmetic, if nibbles are read high first.
func TestItem02BordersOfTheRecording(t *testing.T) {
	high, low := 0, 0
	var ends [2]imaState
	for i, body := range recordedADPCM(t) {
		d := newADPCMDecoder(DecoderOptions{})
		block, _ := StripHiSilicon(body)
		state, ok := d.state(block)
		if !ok {
			t.Fatal("no state before a block")
		}
		if i > 0 && state == ends[0] {
			high++
		}
		if i > 0 && state == ends[1] {
			low++
		}
		ends = [2]imaState{state, state}
		ends[0].decodeBytes(nil, imaReference, block[adpcmState:], OrderHighFirst)
		ends[1].decodeBytes(nil, imaReference, block[adpcmState:], OrderLowFirst)
	}
	if high != 27 || low != 0 {
		t.Errorf("%d borders continuous high first, %d low first; want 27 and 0", high, low)
	}
}

// Blocks of either order give the same sound once the order has shown, with and without a state before them.
func TestItem02NibbleOrderIsFound(t *testing.T) {
	blocks := map[string][][]byte{}
	high, err := NewEncoder(media.CodecADPCM, 26, EncoderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, packet := range chunks(speech(100*320), 320) {
		block := high.Encode(nil, packet)
		blocks["state"] = append(blocks["state"], block)
		blocks["bare"] = append(blocks["bare"], block[adpcmState:])
	}
	for name, blocks := range blocks {
		var swapped [][]byte
		for _, b := range blocks {
			state := len(b) % 40
			swapped = append(swapped, append(slices.Clone(b[:state]), swapNibbles(b[state:])...))
		}
		d := mustDecoder(t, media.CodecADPCM, 26, DecoderOptions{})
		want := decodeAll(t, d, blocks)
		if len(want) != 100*320 {
			t.Fatalf("%s: %d samples", name, len(want))
		}
		if !d.(*packetDecoder).decoder.(*adpcmDecoder).vote.closed {
			t.Errorf("%s: the order is still open after %d blocks", name, len(blocks))
		}
		const found = 40 * 320 // until then the order is an assumption
		got := decodeAll(t, mustDecoder(t, media.CodecADPCM, 26, DecoderOptions{}), swapped)
		if !slices.Equal(got[found:], want[found:]) {
			t.Errorf("%s: low first differs: %.1f dB", name, snr(want[found:], got[found:]))
		}
		got = decodeAll(t, mustDecoder(t, media.CodecADPCM, 26, DecoderOptions{Order: OrderLowFirst}), swapped)
		if !slices.Equal(got, want) {
			t.Errorf("%s: low first by option differs: %.1f dB", name, snr(want, got))
		}
	}
}

func TestADPCMReferenceOfOneBlock(t *testing.T) {
	// By hand from the document: step 7; nibble 7 is 0+7+3+1 = 11 up, the index rises by 8 to step 16; nibble 15 is
	// 2+16+8+4 = 30 down.
	s := imaState{}
	if got := s.decodeBytes(nil, imaReference, []byte{0x7f}, OrderHighFirst); !slices.Equal(got, []int16{11, -19}) || s.index != 16 {
		t.Errorf("%d, index %d", got, s.index)
	}
}

func TestADPCMRateOfDVI4(t *testing.T) {
	rates := map[uint8]int{10: 11025, 11: 22050, 12: 8000, 13: 16000}
	for payloadType, rate := range rates {
		if d := mustDecoder(t, media.CodecDVI4, payloadType, DecoderOptions{}); d.SampleRate() != rate {
			t.Errorf("payload type %d: %d Hz, want %d", payloadType, d.SampleRate(), rate)
		}
	}
	d := mustDecoder(t, media.CodecDVI4, 13, DecoderOptions{}) // says 16 kHz and sends 8
	for i := range uint64(40) {
		d.(Timed).At(1000 + 40*i)
		if pcm, err := d.Decode(nil, make([]byte, 164)); err != nil || len(pcm) != 320 {
			t.Fatal(len(pcm), err)
		}
	}
	if d.SampleRate() != 8000 {
		t.Errorf("%d Hz by the timestamps, want 8000", d.SampleRate())
	}
}

func TestDVI4StateIsBigEndian(t *testing.T) {
	d := mustDecoder(t, media.CodecDVI4, 12, DecoderOptions{})
	pcm, err := d.Decode(nil, []byte{0x12, 0x34, 0, 0, 0x08})
	if err != nil || !slices.Equal(pcm, []int16{0x1234, 0x1234}) { // step 7: nibbles 0 and 8 move it by 7>>3 = 0
		t.Errorf("%x %v", pcm, err)
	}
}

func TestADPCMSurvivesSilenceAndLoudness(t *testing.T) {
	e, err := NewEncoder(media.CodecADPCM, 26, EncoderOptions{HiSilicon: true})
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, 3200)
	for i := range pcm {
		if i > 1600 {
			pcm[i] = math.MinInt16
			if i/40%2 == 0 {
				pcm[i] = math.MaxInt16
			}
		}
	}
	d := mustDecoder(t, media.CodecADPCM, 26, DecoderOptions{})
	var got []int16
	for _, packet := range chunks(pcm, 320) {
		if got, err = d.Decode(got, e.Encode(nil, packet)); err != nil {
			t.Fatal(err)
		}
	}
	if db := snr(pcm, got); len(got) != len(pcm) || db < 6 {
		t.Errorf("%d samples, %.1f dB", len(got), db)
	}
}
