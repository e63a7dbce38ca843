// Package simvehicle is a vehicle as the platform meets it: it registers with the JT/T 808 gateway, dials the media port
// when it is told to (0x9101), sends a clip there as JT/T 1078 packets in real time, and stops when it is told to
// (0x9102). It can also misbehave in the ways that real vehicles do, see Faults.
//
// A clip is cut into frames once (Content) and shared by every stream that plays it; a frame goes out in one write, so
// that a few hundred vehicles cost little beside the services that they are to try.
package simvehicle
