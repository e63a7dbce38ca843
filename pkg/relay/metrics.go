package relay

import "github.com/prometheus/client_golang/prometheus"

// metrics are what a client counts, all streams together.
type metrics struct {
	subscriptions prometheus.Gauge
	frames        [noKeyYet + 1]prometheus.Counter // by verdict
	bytes         prometheus.Counter
	lost          prometheus.Counter
	ends          *prometheus.CounterVec
}

// newMetrics registers the metrics; nil registers them nowhere.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	frames := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "relay_client_frames_total",
		Help: "Frames received, by what became of them: handed_over; repeated, as an earlier connection had brought them; no_key_yet, video after a loss before the next key frame.",
	}, []string{"result"})
	m := &metrics{
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "relay_client_subscriptions",
			Help: "Streams that this service takes from jt1078_server now.",
		}),
		frames: [...]prometheus.Counter{
			handOver: frames.WithLabelValues("handed_over"),
			repeated: frames.WithLabelValues("repeated"),
			noKeyYet: frames.WithLabelValues("no_key_yet"),
		},
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_client_bytes_total",
			Help: "Bytes of the frames handed over.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "relay_client_lost_frames_total",
			Help: "Frames that jt1078_server dropped because this service was too slow, or that came while it was not connected.",
		}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relay_client_ends_total",
			Help: "Subscriptions that ended by themselves and are tried again, by reason: unreachable, start_failed, refused.",
		}, []string{"reason"}),
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.subscriptions, frames, m.bytes, m.lost, m.ends} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}
