package rtsp

import "github.com/prometheus/client_golang/prometheus"

// metrics is everything that this package counts.
type metrics struct {
	connections        prometheus.Gauge
	connectionsRefused prometheus.Counter
	streams            prometheus.Gauge
	viewers            *prometheus.GaugeVec
	places             prometheus.Gauge
	describes          *prometheus.CounterVec
	frames             *prometheus.CounterVec
	framesRefused      *prometheus.CounterVec
	framesDropped      prometheus.Counter
	skips              prometheus.Counter
	packets            *prometheus.CounterVec
	resets             prometheus.Counter
	ended              prometheus.Counter
	viewerErrors       prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		registry.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		registry.MustRegister(c)
		return c
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		registry.MustRegister(c)
		return c
	}
	viewers := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pc_viewers", Help: "RTSP viewers that play, by transport.",
	}, []string{"transport"})
	registry.MustRegister(viewers)
	return &metrics{
		connections:        gauge("pc_rtsp_connections", "Open RTSP connections."),
		connectionsRefused: counter("pc_rtsp_connections_refused_total", "Connections closed because rtsp.max_connections were open."),
		streams:            gauge("pc_streams", "Streams that are taken from jt1078_server."),
		viewers:            viewers,
		places:             gauge("pc_places_taken", "Viewers that play or are about to; rtsp.max_viewers is the limit."),
		describes:          counters("pc_describes_total", "DESCRIBE requests by status code; gone: the client left while it waited.", "code"),
		frames:             counters("pc_frames_total", "Frames from jt1078_server, by track.", "track"),
		framesRefused:      counters("pc_frames_refused_total", "Frames from jt1078_server that cannot be shown, by reason.", "reason"),
		framesDropped:      counter("pc_viewer_frames_dropped_total", "Frames that viewers did not get because they were too slow."),
		skips:              counter("pc_viewer_skips_total", "Times that a viewer was too slow and skipped to the next key frame."),
		packets:            counters("pc_rtp_packets_total", "RTP packets handed to viewers, by transport.", "transport"),
		resets:             counter("pc_stream_resets_total", "Times that viewers were disconnected because the stream's video codec changed."),
		ended:              counter("pc_viewers_without_video_total", "Viewers disconnected because no picture had come for rtsp.no_video."),
		viewerErrors:       counter("pc_viewer_packet_errors_total", "Packets from viewers that are not RTCP."),
	}
}
