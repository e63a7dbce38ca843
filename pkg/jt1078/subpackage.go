package jt1078

import "fmt"

// Subpackage is a packet's place in its frame (JT/T 1078-2016, table 19).
type Subpackage uint8

// Sub-package marks.
const (
	SubpackageAtomic Subpackage = 0 // the whole frame
	SubpackageFirst  Subpackage = 1
	SubpackageLast   Subpackage = 2
	SubpackageMiddle Subpackage = 3
)

// Starts reports whether a frame begins with this packet.
func (s Subpackage) Starts() bool { return s <= SubpackageFirst }

// Ends reports whether a frame is complete with this packet.
func (s Subpackage) Ends() bool { return s == SubpackageAtomic || s == SubpackageLast }

// String is a short name for logs.
func (s Subpackage) String() string {
	switch s {
	case SubpackageAtomic:
		return "atomic"
	case SubpackageFirst:
		return "first"
	case SubpackageLast:
		return "last"
	case SubpackageMiddle:
		return "middle"
	}
	return fmt.Sprintf("subpackage(%d)", uint8(s))
}
