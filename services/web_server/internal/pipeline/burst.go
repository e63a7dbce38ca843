package pipeline

import "time"

// burst returns the cached group of pictures for a joiner, its times compressed so that it ends at end: the joiner
// decodes it at once and stands where everybody stands, not a group of pictures behind. The payloads stay shared.
//
// One line maps presentation and decoding times alike, so pictures keep their order. Where the group is dense a step
// would round to nothing, so each decoding time is at least a millisecond before the next.
func burst(group []*Unit, end time.Duration) []*Unit {
	n := len(group)
	if n == 0 {
		return nil
	}
	first, last := group[0].DTS, group[n-1].DTS
	end = max(end, last)
	scale := 1.0
	if span := last - first; span > 0 {
		scale = min(1, float64(time.Duration(n)*time.Millisecond)/float64(span))
	}
	at := func(t time.Duration) time.Duration {
		if t >= last { // to be shown after the end, among the pictures that are still to come
			return end + t - last
		}
		return (end - time.Duration(float64(last-t)*scale)).Truncate(time.Millisecond)
	}
	units := make([]*Unit, n)
	next := end + time.Millisecond
	for i := n - 1; i >= 0; i-- {
		u := group[i]
		dts := min(at(u.DTS), next-time.Millisecond)
		units[i] = u.at(dts, at(u.PTS))
		next = dts
	}
	return units
}
