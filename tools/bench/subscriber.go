package main

import (
	"context"
	"errors"
	"flag"
	"net"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
)

// newSubscriber takes every stream once: from jt1078_server with --relay, from the TCP relay with --tcp.
func newSubscriber(f *flag.FlagSet) helperFunc {
	count := f.Int("count", 1, "")
	relayAddress := f.String("relay", "", "")
	tcpAddress := f.String("tcp", "", "")
	return func(ctx context.Context, ready func(counters)) error {
		c := &consumer{}
		ready(counters{"open": c.open.Load, "frames": c.frames.Load, "bytes": c.bytes.Load})
		if *tcpAddress != "" {
			return c.takeTCP(ctx, *tcpAddress, *count)
		}
		return c.takeRelay(ctx, *relayAddress, *count)
	}
}

// consumer counts what all its streams bring.
type consumer struct {
	open   atomic.Int64 // streams that have begun
	frames atomic.Int64 // pictures; of TCP, reads
	bytes  atomic.Int64
}

func (c *consumer) takeTCP(ctx context.Context, address string, count int) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range count {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		wg.Go(func() {
			buffer := make([]byte, readBuffer)
			for first := true; ; first = false {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				if first {
					c.open.Add(1)
				}
				c.frames.Add(1)
				c.bytes.Add(int64(n))
			}
		})
	}
	<-ctx.Done()
	return nil
}

func (c *consumer) takeRelay(ctx context.Context, address string, count int) error {
	sims, err := sims(firstSending, count)
	if err != nil {
		return err
	}
	client := &relay.Client{Config: relay.DefaultConfig(), Name: "bench", Log: zerolog.Nop()}
	client.Config.Address = address
	if err := client.Initialize(); err != nil {
		return err
	}
	defer client.Close()
	for _, sim := range sims {
		key := jt1078.Key{Kind: jt1078.KindLive, ID: jt1078.StreamID{SIM: sim, Channel: 1}}
		client.Subscribe(key, &handler{consumer: c})
	}
	<-ctx.Done()
	if c.open.Load() == 0 {
		return errors.New("no stream has come")
	}
	return nil
}

// handler is one stream's.
type handler struct {
	*consumer
	begun bool
}

func (h *handler) OnFrame(f *media.Frame) {
	if f.Type != media.FrameKey && f.Type != media.FrameDelta {
		return
	}
	if !h.begun {
		h.begun = true
		h.open.Add(1)
	}
	h.frames.Add(1)
	h.bytes.Add(int64(len(f.Data)))
}

func (h *handler) OnState(relay.State) {}
