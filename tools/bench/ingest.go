package main

import (
	"context"
	"fmt"
)

// ingest measures vehicles that nobody asked and nobody watches: jt1078_server parses, joins, and keeps the current
// group of pictures, beside a process that reads the same bytes from as many connections and throws them away.
func (b *bench) ingest(ctx context.Context) error {
	t := table{
		title:  fmt.Sprintf("Ingest, nobody watching (1.14 Mbit/s, 25 fps; rounds of %v: %d)", b.seconds, b.rounds),
		header: []string{"streams:", "process", "CPU a stream:", "ratio (≤ 1.5):", "memory a stream (≤ 600 kB):", "others, cores:"},
	}
	for _, n := range b.streams {
		p, err := b.alternate(ctx, "ingest", n, false)
		if err != nil {
			return err
		}
		streams := fmt.Sprint(n)
		t.add(streams, "jt1078_server", percent(middle(p.subject, cpu), n), ratio(values(p.subject, cpu), values(p.limit, cpu)),
			fmt.Sprintf("%.0f kB", middle(p.subject, memory)), fmt.Sprintf("%.2f", middle(p.subject, others)))
		t.add(streams, "TCP sink", percent(middle(p.limit, cpu), n), "",
			fmt.Sprintf("%.0f kB", middle(p.limit, memory)), fmt.Sprintf("%.2f", middle(p.limit, others)))
		t.doubt("jt1078_server", p.subject)
		t.doubt("the TCP sink", p.limit)
	}
	t.print(b.out)
	return nil
}

// relay measures one subscriber a stream: jt1078_server with a gRPC consumer, beside a process that writes what it
// reads to one TCP connection a vehicle.
func (b *bench) relay(ctx context.Context) error {
	n := b.watched
	p, err := b.alternate(ctx, "relay", n, true)
	if err != nil {
		return err
	}
	t := table{
		title:  fmt.Sprintf("Relay, one subscriber a stream (1.14 Mbit/s, 25 fps; rounds of %v: %d)", b.seconds, b.rounds),
		header: []string{"streams:", "process", "CPU a stream:", "ratio (≤ 2):", "subscriber's CPU a stream:", "ratio:", "others, cores:"},
	}
	t.add(fmt.Sprint(n), "jt1078_server, gRPC", percent(middle(p.subject, cpu), n), ratio(values(p.subject, cpu), values(p.limit, cpu)),
		percent(middle(p.subject, subscriber), n), ratio(values(p.subject, subscriber), values(p.limit, subscriber)),
		fmt.Sprintf("%.2f", middle(p.subject, others)))
	t.add(fmt.Sprint(n), "TCP relay", percent(middle(p.limit, cpu), n), "", percent(middle(p.limit, subscriber), n), "",
		fmt.Sprintf("%.2f", middle(p.limit, others)))
	t.doubt("jt1078_server", p.subject)
	t.doubt("the TCP relay", p.limit)
	t.print(b.out)
	return nil
}
