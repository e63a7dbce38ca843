// Package jt808 is the codec of the JT/T 808 signalling that a JT/T 1078 platform lives on: frames with their escapes and
// checksum (Reader, Append), headers of the 2011, 2013 and 2019 editions, sub-packages (AppendSplit, Reassembler), and
// the messages, each a Body that reads and writes itself. Both sides of the wire use it: the gateway and the simulated
// vehicle.
//
// The package is pure: bytes in, structs out; no clock, no log, no network. All integers on the wire are big-endian.
// What an Unmarshal keeps of its input (byte slices, never strings) aliases it.
package jt808
