package simvehicle

import (
	"fmt"
	"strings"
	"time"
)

// Faults are ways in which real vehicles misbehave.
type Faults struct {
	Refuse      bool          // answers 0x9101 with "failed"
	NeverDial   bool          // answers 0x9101 with "ok" and does nothing
	NeverKey    bool          // sends every picture but the key frames
	IgnoreStop  bool          // answers 0x9102 with "ok" and goes on
	Garbage     bool          // sends noise between packets
	BadSPS      bool          // its sequence parameter set is cut off
	RedialAfter time.Duration // leaves its media connection so long after the start, and dials again at once
	ChangeAfter time.Duration // changes to the sub stream's picture so long after the start
}

var faultNames = []struct {
	name, what string
	flag       func(*Faults) *bool
	delay      func(*Faults) *time.Duration
}{
	{name: "refuse", what: "refuse 0x9101", flag: func(f *Faults) *bool { return &f.Refuse }},
	{name: "never-dial", what: "acknowledge 0x9101 and do nothing", flag: func(f *Faults) *bool { return &f.NeverDial }},
	{name: "never-key", what: "send no key frame", flag: func(f *Faults) *bool { return &f.NeverKey }},
	{name: "ignore-stop", what: "acknowledge 0x9102 and go on", flag: func(f *Faults) *bool { return &f.IgnoreStop }},
	{name: "garbage", what: "send noise between packets", flag: func(f *Faults) *bool { return &f.Garbage }},
	{name: "bad-sps", what: "send a broken SPS", flag: func(f *Faults) *bool { return &f.BadSPS }},
	{name: "redial", what: "leave and dial again after a time", delay: func(f *Faults) *time.Duration { return &f.RedialAfter }},
	{name: "change", what: "change the resolution after a time", delay: func(f *Faults) *time.Duration { return &f.ChangeAfter }},
}

// String writes what Set reads.
func (f *Faults) String() string {
	var parts []string
	for _, n := range faultNames {
		if n.flag != nil && *n.flag(f) {
			parts = append(parts, n.name)
		}
		if n.delay != nil && *n.delay(f) > 0 {
			parts = append(parts, n.name+"="+n.delay(f).String())
		}
	}
	return strings.Join(parts, ",")
}

// Set reads "never-key,redial=10s"; with String it makes Faults a flag.Value.
func (f *Faults) Set(s string) error {
next:
	for part := range strings.SplitSeq(s, ",") {
		name, value, hasValue := strings.Cut(part, "=")
		for _, n := range faultNames {
			if n.name != name {
				continue
			}
			if hasValue != (n.delay != nil) {
				return fmt.Errorf("fault %q: a time belongs to redial and change, as in redial=10s, and to no other", part)
			}
			if n.flag != nil {
				*n.flag(f) = true
				continue next
			}
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				return fmt.Errorf("fault %q: %q is not a time such as 10s", part, value)
			}
			*n.delay(f) = d
			continue next
		}
		return fmt.Errorf("fault %q is not one of: %s", name, FaultNames())
	}
	return nil
}

// FaultNames lists what Set knows.
func FaultNames() string {
	parts := make([]string, 0, len(faultNames))
	for _, n := range faultNames {
		name := n.name
		if n.delay != nil {
			name += "=TIME"
		}
		parts = append(parts, name+" ("+n.what+")")
	}
	return strings.Join(parts, ", ")
}
