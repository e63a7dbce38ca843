package audio

// IMA ADPCM: "Recommended Practices for Enhancing Digital Audio Compatibility in Multimedia Systems", revision 3.00,
// IMA Digital Audio Focus and Technical Working Groups, 1992. RFC 3551 clause 4.5.1 (DVI4) is the same coder.

// imaSteps is its table of quantizer step sizes.
var imaSteps = [89]int32{
	7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
	118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
	1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
	6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
	32767,
}

// imaIndexes is its table of index adjustments, by the three bits of magnitude.
var imaIndexes = [8]int8{-1, -1, -1, -1, 2, 4, 6, 8}

const imaMaxIndex = int8(len(imaSteps) - 1)

// imaState is what a coder carries from one sample to the next.
type imaState struct {
	predictor int16
	index     int8 // into imaSteps
}

// imaTable is by how much a nibble's magnitude moves the predictor, for every step.
type imaTable [len(imaSteps)][8]int32

// The document adds halves of the step that are each cut to an integer: imaReference, what vehicles and RFC 3551 do.
// FFmpeg's adpcm_ima_wav and its kin multiply first and cut once: imaProduct. Over a block of 320 samples the two end
// up some 20 of 32,768 apart.
var (
	imaReference = makeIMATable(func(step, magnitude int32) int32 {
		return step>>3 + step*(magnitude>>2) + step>>1*(magnitude>>1&1) + step>>2*(magnitude&1)
	})
	imaProduct = makeIMATable(func(step, magnitude int32) int32 { return (2*magnitude + 1) * step >> 3 })
)

func makeIMATable(difference func(step, magnitude int32) int32) *imaTable {
	table := new(imaTable)
	for i, step := range imaSteps {
		for magnitude := range table[i] {
			table[i][magnitude] = difference(step, int32(magnitude))
		}
	}
	return table
}

// decode takes one nibble: a sign and three bits of magnitude.
func (s *imaState) decode(table *imaTable, nibble byte) int16 {
	difference := table[s.index][nibble&7]
	if nibble&8 != 0 {
		difference = -difference
	}
	s.predictor = clamp16(int32(s.predictor) + difference)
	s.index = min(max(s.index+imaIndexes[nibble&7], 0), imaMaxIndex)
	return s.predictor
}

// decodeBytes appends two samples for every byte.
func (s *imaState) decodeBytes(dst []int16, table *imaTable, body []byte, order Order) []int16 {
	first := 4 // the shift that brings the first nibble down
	if order == OrderLowFirst {
		first = 0
	}
	for _, c := range body {
		dst = append(dst, s.decode(table, c>>first&15), s.decode(table, c>>(4-first)&15))
	}
	return dst
}

// encode finds the nibble for a sample and follows the decoder.
func (s *imaState) encode(sample int16) byte {
	difference := int32(sample) - int32(s.predictor)
	var nibble byte
	if difference < 0 {
		nibble, difference = 8, -difference
	}
	nibble |= byte(min(difference<<2/imaSteps[s.index], 7))
	s.decode(imaReference, nibble)
	return nibble
}

func clamp16(x int32) int16 { return int16(min(max(x, -32768), 32767)) }
