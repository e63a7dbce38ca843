package audio

import (
	"errors"
	"fmt"
)

// Errors of AACParser.
var (
	// ErrADTS is what a damaged ADTS header is answered with, or one of a kind that cannot be passed on.
	ErrADTS = errors.New("ADTS header")
	// ErrLATM is the answer to LOAS/LATM (ISO/IEC 14496-3 clause 1.7), which is recognised and not taken apart.
	ErrLATM = fmt.Errorf("%w: AAC in LOAS/LATM", ErrUnsupported)
)

// adtsHeader is adts_fixed_header and adts_variable_header of ISO/IEC 13818-7 clause 6.2, as far as they matter.
type adtsHeader struct {
	objectType int // MPEG-4's: 1 main, 2 LC, 3 SSR, 4 LTP
	rateIndex  int
	channels   int
	header     int // length, 9 with a CRC
	frame      int // length, header and all
	blocks     int // raw data blocks in the frame
}

const adtsHeaderLength = 7

// parseADTS reads a header; false says that there is none.
func parseADTS(b []byte) (adtsHeader, bool) {
	if len(b) < adtsHeaderLength || b[0] != 0xff || b[1]&0xf6 != 0xf0 { // sync word, layer 0
		return adtsHeader{}, false
	}
	h := adtsHeader{
		objectType: int(b[2]>>6) + 1,
		rateIndex:  int(b[2] >> 2 & 15),
		channels:   int(b[2]&1)<<2 | int(b[3]>>6),
		header:     adtsHeaderLength,
		frame:      int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5]>>5),
		blocks:     int(b[6]&3) + 1,
	}
	if b[1]&1 == 0 { // protection_absent
		h.header += 2
	}
	return h, h.rateIndex < len(aacRates) && h.frame > h.header
}

// AACParser takes the bodies of a vehicle's AAC packets (payload types 19, 21, 24, 27), with ADTS headers or without,
// and hands out what RTMP, RTP and MP4 carry: raw access units and the AudioSpecificConfig. The zero value is ready.
type AACParser struct {
	// SampleRate in Hz and Channels, for units without ADTS; zero finds out: the rate from the timestamps, the
	// channels from the unit's first element.
	SampleRate int
	Channels   int

	config []byte
	pace   pace
	raw    int // units without ADTS seen before the configuration was known
}

// aacGuessAfter is how many raw units are waited for, when timestamps tell nothing, before 8 kHz is assumed.
const aacGuessAfter = 48

// Parse appends the access units in the body to units; they alias it. After an error the units before the damage are
// there. timestamp is the packet's, in the vehicle's ms.
func (p *AACParser) Parse(units [][]byte, body []byte, timestamp uint64) ([][]byte, error) {
	if len(body) > maxPacket {
		return units, ErrTooLong
	}
	body, _ = StripHiSilicon(body)
	if len(body) == 0 {
		return units, nil
	}
	if len(body) > 2 && body[0] == 0x56 && body[1]&0xe0 == 0xe0 { // AudioSyncStream's sync word, 0x2B7
		return units, ErrLATM
	}
	if _, ok := parseADTS(body); !ok {
		if body[0] == 0xff && len(body) > 1 && body[1]&0xf0 == 0xf0 { // as a raw unit it would begin with its end
			return units, fmt.Errorf("%w: damaged: % x", ErrADTS, body[:min(len(body), adtsHeaderLength)])
		}
		p.observeRaw(body, timestamp)
		return append(units, body), nil
	}
	for len(body) > 0 {
		h, ok := parseADTS(body)
		switch {
		case !ok, h.frame > len(body):
			return units, fmt.Errorf("%w: frame cut off or damaged, %d bytes left", ErrADTS, len(body))
		case h.channels == 0:
			return units, fmt.Errorf("%w: channels are described inside the unit", ErrADTS)
		case h.blocks > 1:
			return units, fmt.Errorf("%w: %d blocks in one frame", ErrADTS, h.blocks)
		}
		p.setConfig(h.objectType, h.rateIndex, h.channels)
		units = append(units, body[h.header:h.frame])
		body = body[h.frame:]
	}
	return units, nil
}

// Config is the AudioSpecificConfig, nil until it is known. A new slice stands for a new configuration.
func (p *AACParser) Config() []byte { return p.config }

// observeRaw finds the configuration of units without ADTS.
func (p *AACParser) observeRaw(unit []byte, timestamp uint64) {
	if p.config != nil {
		return
	}
	p.raw++
	channels := p.Channels
	if channels == 0 {
		channels = 1
		if unit[0]>>5 == 1 { // id_syn_ele of ISO/IEC 14496-3 table 4.85: ID_CPE, a channel pair
			channels = 2
		}
	}
	rate := p.SampleRate
	if perSecond, ok := p.pace.add(timestamp, 1); ok && rate == 0 {
		for _, usual := range aacRates[3:12] {
			if near(perSecond*aacFrame, float64(usual), 0.04) {
				rate = usual
			}
		}
	}
	if rate == 0 && p.raw >= aacGuessAfter {
		rate = 8000
	}
	for index, usual := range aacRates {
		if rate == usual {
			p.setConfig(aacLC, index, channels)
		}
	}
}

func (p *AACParser) setConfig(objectType, rateIndex, channels int) {
	var buffer [2]byte
	if config := appendASC(buffer[:0], objectType, rateIndex, channels); string(config) != string(p.config) {
		p.config = append([]byte(nil), config...)
	}
}
