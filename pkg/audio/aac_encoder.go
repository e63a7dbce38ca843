package audio

// aacFrame is how many samples one AAC-LC access unit covers (ISO/IEC 14496-3, frameLengthFlag 0).
const aacFrame = 1024

// AACEncoder makes AAC-LC (ISO/IEC 14496-3) of mono PCM. The default build has one in Go, the build tag voaac another
// around libvo-aacenc (cgo); docs/adr/0001 has what each costs.
type AACEncoder interface {
	// Encode takes any number of samples and returns the access units that they complete, raw, without ADTS. The
	// units are valid until the next call. After an error the encoder is of no more use.
	Encode(pcm []int16) (units [][]byte, err error)
	// Config is the AudioSpecificConfig. It stays the same for the encoder's life.
	Config() []byte
	// SampleRate is the output's, in Hz; it need not be the input's.
	SampleRate() int
	// FrameSamples is how many samples at SampleRate a unit covers: 1,024.
	FrameSamples() int
	// Delay is how many samples at SampleRate come out before the first of the input: what a unit's timestamp must be
	// set back by so that sound stays with the picture.
	Delay() int
	// Close frees what the garbage collector does not see. The encoder must not be used after it; a second Close does
	// nothing.
	Close()
}

// aacUnits is the output of one Encode: all units in one buffer that the next Encode reuses.
type aacUnits struct {
	data  []byte
	ends  []int
	units [][]byte
}

func (u *aacUnits) reset() { u.data, u.ends, u.units = u.data[:0], u.ends[:0], u.units[:0] }

// slices is made last: while data grows, what pointed into it would point into an old buffer.
func (u *aacUnits) slices() [][]byte {
	start := 0
	for _, end := range u.ends {
		u.units = append(u.units, u.data[start:end:end])
		start = end
	}
	return u.units
}
