// Package jt1078 is the codec of JT/T 1078-2016 media streams and the vocabulary that all services share: who sends
// (SIM, StreamID), over which road (Kind), what a packet carries (PayloadType, DataType, Subpackage), how packets
// are read from a byte stream (Reader), joined to frames (Assembler) and made (Packetizer).
//
// The package is pure: bytes in, structs out; no clock, no log, no network.
package jt1078
