package jt1078

import "fmt"

// DataType is what a packet is part of (JT/T 1078-2016, table 19). It decides which header fields exist.
type DataType uint8

// Data types. There are no others: a header that says so is not a header.
const (
	DataI           DataType = 0
	DataP           DataType = 1
	DataB           DataType = 2
	DataAudio       DataType = 3
	DataPassthrough DataType = 4
)

// IsVideo reports whether the type is one of the three kinds of picture.
func (t DataType) IsVideo() bool { return t <= DataB }

// String is a short name for logs and metrics.
func (t DataType) String() string {
	switch t {
	case DataI:
		return "I"
	case DataP:
		return "P"
	case DataB:
		return "B"
	case DataAudio:
		return "audio"
	case DataPassthrough:
		return "passthrough"
	}
	return fmt.Sprintf("data(%d)", uint8(t))
}
