package rtsp

import (
	"bytes"
	"errors"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"multi_process_server/pkg/audio"
	"multi_process_server/pkg/media"
)

// errOffered is what becomes of sound that the SDP has no place for.
var errOffered = errors.New("the SDP was made for other sound; it is made anew when the last viewer has left")

// RFC 3640's mode AAC-hbr: an AU-header is 13 bits of size and 3 of index.
const (
	aacSizeLength  = 13
	aacIndexLength = 3
	maxAccessUnit  = 1<<aacSizeLength - 1
)

// aac passes a vehicle's AAC on as it is. It belongs to one goroutine.
type aac struct {
	parser  audio.AACParser
	config  *mpeg4audio.AudioSpecificConfig // the last that can be passed on, nil before it
	raw     []byte                          // what config was made of
	encoder rtpmpeg4audio.Encoder
	units   [][]byte // scratch
}

// parse takes a frame apart, and changes the configuration where fixed is false. After an error the units before the
// damage are there; they are valid as long as the frame's data.
func (a *aac) parse(f *media.Frame, fixed bool) (units [][]byte, err error) {
	a.units, err = a.parser.Parse(a.units[:0], f.Data, f.VehicleTimestamp)
	raw := a.parser.Config()
	switch {
	case bytes.Equal(raw, a.raw):
	case fixed:
		return nil, errOffered
	default:
		var config mpeg4audio.AudioSpecificConfig
		if err := config.Unmarshal(raw); err != nil {
			return nil, err
		}
		a.raw, a.config = raw, &config
		a.encoder = rtpmpeg4audio.Encoder{
			PayloadType: payloadTypeAAC, PayloadMaxSize: maxPayload,
			SizeLength: aacSizeLength, IndexLength: aacIndexLength, IndexDeltaLength: aacIndexLength,
		}
		if err := a.encoder.Init(); err != nil {
			return nil, err
		}
	}
	if a.config == nil { // a vehicle without ADTS shows its rate only after a while
		return nil, err
	}
	return a.units, err
}

// payloads cuts an access unit; none for one that RTP has no place for.
func (a *aac) payloads(accessUnit []byte) (payloads [][]byte, size int) {
	if len(accessUnit) == 0 || len(accessUnit) > maxAccessUnit {
		return nil, 0
	}
	packets, err := a.encoder.Encode([][]byte{accessUnit})
	if err != nil {
		return nil, 0
	}
	for _, p := range packets {
		payloads = append(payloads, p.Payload)
		size += len(p.Payload)
	}
	return payloads, size
}

// Access units of AAC-LC without a sound, by the number of channels; they are the same at every rate.
var silentAAC = map[int][]byte{
	1: {0x00, 0xc8, 0x00, 0x80, 0x23, 0x80},
	2: {0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80},
}

// silence is the payloads of a silent access unit, nil where there is none for so many channels.
func (a *aac) silence() [][]byte {
	payloads, _ := a.payloads(silentAAC[a.config.ChannelCount]) //nolint:staticcheck // gortsplib 4.16.2 reads the same field
	return payloads
}

// format is the track's entry in the SDP.
func (a *aac) format() format.Format {
	return &format.MPEG4Audio{
		PayloadTyp: payloadTypeAAC, Config: a.config,
		SizeLength: aacSizeLength, IndexLength: aacIndexLength, IndexDeltaLength: aacIndexLength,
	}
}
