package audio

import "fmt"

// aacRates is ISO/IEC 14496-3 table 1.18: the place of a rate is its samplingFrequencyIndex.
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// aacLC is MPEG-4's audio object type of AAC-LC.
const aacLC = 2

// appendASC appends the AudioSpecificConfig (ISO/IEC 14496-3 clause 1.6.2.1): five bits of object type, four of
// frequency index, four of channel configuration, and zeros: units of 1,024 samples, no core coder, no extension.
func appendASC(dst []byte, objectType, rateIndex, channels int) []byte {
	return append(dst, byte(objectType<<3|rateIndex>>1), byte(rateIndex<<7|channels<<3))
}

// aacEncoderRate checks an encoder's input rate and tells what to spend on it: enough that what the vehicle's codec
// lost stays the greater loss.
func aacEncoderRate(hertz int) (bitRate int, err error) {
	for _, rate := range aacRates {
		if rate == hertz && 8000 <= rate && rate <= 48000 {
			switch {
			case rate <= 12000:
				return 40000, nil
			case rate <= 24000:
				return 48000, nil
			}
			return 96000, nil
		}
	}
	return 0, fmt.Errorf("AAC encoder: %d Hz is not one of MPEG-4's rates from 8,000 to 48,000 Hz", hertz)
}
