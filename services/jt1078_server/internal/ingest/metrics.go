package ingest

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"multi_process_server/pkg/jt1078"
)

// metrics are counted by connections now and then, not packet by packet.
type metrics struct {
	open     *prometheus.GaugeVec
	accepted *prometheus.CounterVec
	ended    *prometheus.CounterVec
	refused  *prometheus.CounterVec

	packets, bytes, frames         prometheus.Counter
	skipped, resyncs               prometheus.Counter
	lost, gaps, unbelieved, jumps  prometheus.Counter
	orphans, empty, unmarked       prometheus.Counter
	damagedFrames, oversizedFrames prometheus.Counter
}

// newMetrics registers the metrics; a nil registerer registers them nowhere.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "jt1078_ingest_" + name, Help: help})
		all = append(all, c)
		return c
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "jt1078_ingest_" + name, Help: help}, []string{label})
		all = append(all, c)
		return c
	}
	m := &metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jt1078_ingest_connections", Help: "Vehicles' media connections now.",
		}, []string{"kind"}),
		accepted:        vector("connections_total", "Media connections that vehicles have made.", "kind"),
		ended:           vector("connections_ended_total", "Media connections that have ended, by reason.", "reason"),
		refused:         vector("channels_refused_total", "Channels that were not taken, by reason.", "reason"),
		packets:         counter("packets_total", "JT/T 1078 packets."),
		bytes:           counter("packet_bytes_total", "Bytes of those packets."),
		frames:          counter("frames_total", "Frames that the packets were joined to."),
		skipped:         counter("skipped_bytes_total", "Bytes that belonged to no packet."),
		resyncs:         counter("resyncs_total", "Times that the next packet was not where it had to be."),
		lost:            counter("lost_packets_total", "Packets missing by their sequence numbers."),
		gaps:            counter("gaps_total", "Gaps in the sequence numbers."),
		unbelieved:      counter("unbelieved_gaps_total", "Gaps so frequent that they are the vehicle's way of counting."),
		jumps:           counter("sequence_jumps_total", "Sequence numbers that went back or far ahead."),
		orphans:         counter("orphan_packets_total", "Packets of frames whose beginning never came."),
		empty:           counter("empty_packets_total", "Packets without a body."),
		unmarked:        counter("unmarked_frames_total", "Frames that only the next frame's beginning has ended."),
		damagedFrames:   counter("damaged_frames_total", "Frames dropped for a missing packet."),
		oversizedFrames: counter("oversized_frames_total", "Frames dropped as they grew beyond ingest.max_frame."),
	}
	all = append(all, m.open)
	if registerer == nil {
		return m, nil
	}
	for _, c := range all {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("ingest's metrics: %w", err)
		}
	}
	return m, nil
}

// countReader adds what a reader has seen beyond counted, which it brings up to date.
func (m *metrics) countReader(now jt1078.ReaderStats, counted *jt1078.ReaderStats) {
	add(m.packets, now.Packets, &counted.Packets)
	add(m.bytes, now.Bytes, &counted.Bytes)
	add(m.skipped, now.SkippedBytes, &counted.SkippedBytes)
	add(m.resyncs, now.Resyncs, &counted.Resyncs)
}

// countAssembler adds what an assembler has seen beyond counted, which it brings up to date.
func (m *metrics) countAssembler(now jt1078.AssemblerStats, counted *jt1078.AssemblerStats) {
	add(m.frames, now.Frames, &counted.Frames)
	add(m.lost, now.LostPackets, &counted.LostPackets)
	add(m.gaps, now.Gaps, &counted.Gaps)
	add(m.unbelieved, now.UnbelievedGaps, &counted.UnbelievedGaps)
	add(m.jumps, now.Jumps, &counted.Jumps)
	add(m.orphans, now.Orphans, &counted.Orphans)
	add(m.empty, now.EmptyPackets, &counted.EmptyPackets)
	add(m.unmarked, now.UnmarkedFrames, &counted.UnmarkedFrames)
	add(m.damagedFrames, now.DamagedFrames, &counted.DamagedFrames)
	add(m.oversizedFrames, now.OversizedFrames, &counted.OversizedFrames)
}

// add counts what is more than was counted. A reader can take a few bytes back that it had counted (see
// jt1078.Reader); they do not count again when they come again.
func add(c prometheus.Counter, now uint64, counted *uint64) {
	if now > *counted {
		c.Add(float64(now - *counted))
		*counted = now
	}
}
