// Command vehicle simulates JT/T 808 and JT/T 1078 vehicles: for trying the platform, for tests and for load.
//
//	go run ./tools/vehicle --sim 064959409438:4 --sim 013912345678:2
//	go run ./tools/vehicle --sim 013900000000 --count 500 --unasked --no-sound
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"multi_process_server/tools/internal/simvehicle"
)

// How many streams are few enough to tell of each event, and how often the sum is told of more.
const (
	talkative   = 16
	sumInterval = 5 * time.Second
)

func main() { os.Exit(command()) }

func command() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vehicle:", err)
		return 2
	}
	return 0
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	vehicles, err := o.vehicles()
	if err != nil {
		return err
	}
	channels := 0
	for _, v := range vehicles {
		channels += int(v.Channels)
	}
	if channels <= talkative {
		for _, v := range vehicles {
			v.Notify = func(e simvehicle.Event) { fmt.Println(e) }
		}
	}
	doing := "wait to be asked by " + o.gateway
	if o.unasked {
		doing = "send to " + o.media
	}
	fmt.Printf("%d vehicles with %d channels %s; Ctrl-C ends them\n", len(vehicles), channels, doing)
	fleet := simvehicle.StartFleet(ctx, vehicles)
	defer fleet.Close()
	if channels <= talkative {
		<-ctx.Done()
		return nil
	}
	report(ctx, fleet)
	return nil
}

// report prints the sum of what many vehicles do.
func report(ctx context.Context, fleet *simvehicle.Fleet) {
	ticker := time.NewTicker(sumInterval)
	defer ticker.Stop()
	var frames, bytes int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		t := &simvehicle.Totals
		f, b := t.Frames.Load(), t.Bytes.Load()
		fmt.Printf("%d of %d vehicles online, %d streams, %.0f frames/s, %.1f Mbit/s, %d frames late\n",
			fleet.Online(), fleet.Started(), t.Streams.Load(), float64(f-frames)/sumInterval.Seconds(),
			float64(b-bytes)*8/1e6/sumInterval.Seconds(), t.Late.Load())
		frames, bytes = f, b
	}
}
