package main

import (
	"context"
	"flag"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"multi_process_server/pkg/jt1078"
)

// readBuffer is that of jt1078_server's connections (ingest.read_buffer), so that all read alike.
const readBuffer = jt1078.DefaultBufferSize

// newSink is ingest's limit: it reads what vehicles send and throws it away.
func newSink(f *flag.FlagSet) helperFunc {
	address := f.String("media", "", "")
	return func(ctx context.Context, ready func(counters)) error {
		l, err := net.Listen("tcp", *address)
		if err != nil {
			return err
		}
		var received atomic.Int64
		ready(counters{"bytes": received.Load})
		serve(ctx, l, func(conn net.Conn) {
			buffer := make([]byte, readBuffer)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				received.Add(int64(n))
			}
		})
		return nil
	}
}

// newTCPRelay is the relay's limit: what a read brings from a vehicle is written to the vehicle's one subscriber.
// Vehicles and subscribers are paired in the order of their coming, vehicles first.
func newTCPRelay(f *flag.FlagSet) helperFunc {
	mediaAddress := f.String("media", "", "")
	subscribers := f.String("subscribers", "", "")
	return func(ctx context.Context, ready func(counters)) error {
		in, err := net.Listen("tcp", *mediaAddress)
		if err != nil {
			return err
		}
		out, err := net.Listen("tcp", *subscribers)
		if err != nil {
			in.Close()
			return err
		}
		r := &tcpRelay{}
		ready(counters{"bytes": r.received.Load})
		var wg sync.WaitGroup
		wg.Go(func() { serve(ctx, out, r.subscriber) })
		serve(ctx, in, r.vehicle)
		wg.Wait()
		return nil
	}
}

type tcpRelay struct {
	received atomic.Int64
	mutex    sync.Mutex // guards waiting
	waiting  []*atomic.Pointer[net.Conn]
}

func (r *tcpRelay) vehicle(conn net.Conn) {
	subscriber := new(atomic.Pointer[net.Conn])
	r.mutex.Lock()
	r.waiting = append(r.waiting, subscriber)
	r.mutex.Unlock()
	buffer := make([]byte, readBuffer)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		r.received.Add(int64(n))
		if to := subscriber.Load(); to != nil {
			if _, err := (*to).Write(buffer[:n]); err != nil {
				return
			}
		}
	}
}

func (r *tcpRelay) subscriber(conn net.Conn) {
	r.mutex.Lock()
	if len(r.waiting) > 0 {
		r.waiting[0].Store(&conn)
		r.waiting = r.waiting[1:]
	}
	r.mutex.Unlock()
	io.Copy(io.Discard, conn) //nolint:errcheck // waits for its end
}
