package relayserver

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	events prometheus.Counter
	bytes  prometheus.Counter
	ends   *prometheus.CounterVec
}

// newMetrics registers the metrics; nil registers them nowhere.
func newMetrics(registerer prometheus.Registerer, open func() float64) (*metrics, error) {
	m := &metrics{
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "jt1078_relay_events_total",
			Help: "Frames and states sent to subscribers.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "jt1078_relay_bytes_total",
			Help: "Bytes of the frames and states sent to subscribers.",
		}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jt1078_relay_ends_total",
			Help: "Subscriptions that have ended, by gRPC status: Canceled by the consumer, Unavailable when the start failed or the node stopped, InvalidArgument, ResourceExhausted.",
		}, []string{"code"}),
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{
		m.events, m.bytes, m.ends,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "jt1078_relay_subscriptions", Help: "Subscriptions now, all streams and consumers."}, open),
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}
