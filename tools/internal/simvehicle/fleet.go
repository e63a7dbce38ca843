package simvehicle

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"multi_process_server/pkg/jt1078"
)

// fleetPace is the time from one vehicle's start to the next one's: the frames of a large fleet spread over time, as
// those of real vehicles do.
const fleetPace = 4 * time.Millisecond

// Fleet is vehicles that are started one after another.
type Fleet struct {
	wg       sync.WaitGroup
	cancel   context.CancelFunc
	vehicles []*Vehicle
	started  atomic.Int64 // how many of them, from the first
}

// StartFleet starts the vehicles in the background, until ctx is done. Close ends them.
func StartFleet(ctx context.Context, vehicles []*Vehicle) *Fleet {
	ctx, cancel := context.WithCancel(ctx)
	f := &Fleet{cancel: cancel, vehicles: vehicles}
	f.wg.Go(func() {
		for _, v := range vehicles {
			v.Start()
			f.started.Add(1)
			if !sleep(ctx, fleetPace) {
				return
			}
		}
	})
	return f
}

// Close switches all vehicles off and waits for them.
func (f *Fleet) Close() {
	f.cancel()
	f.wg.Wait()
	started := f.vehicles[:f.Started()]
	for _, v := range started {
		v.cancel()
	}
	for _, v := range started {
		v.Close()
	}
}

// Started is how many vehicles were started.
func (f *Fleet) Started() int { return int(f.started.Load()) }

// Online is how many of them the gateway has accepted.
func (f *Fleet) Online() int {
	n := 0
	for _, v := range f.vehicles[:f.Started()] {
		if v.Online() {
			n++
		}
	}
	return n
}

// SIMRange is count SIMs, counted up in decimal from the first.
func SIMRange(first jt1078.SIM, count int) []jt1078.SIM {
	sims := make([]jt1078.SIM, count)
	for i := range sims {
		sims[i] = first
		for b := len(first) - 1; b >= 0; b-- { // add one to BCD
			if first[b]&0x0f < 9 {
				first[b]++
				break
			}
			first[b] &= 0xf0
			if first[b] < 0x90 {
				first[b] += 0x10
				break
			}
			first[b] = 0
		}
	}
	return sims
}
