package sessions

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	ended      *prometheus.CounterVec
	adopted    prometheus.Counter
	kicks      *prometheus.CounterVec
	reconciled *prometheus.CounterVec
}

func (c *metrics) register(registry prometheus.Registerer, m *Manager) {
	c.ended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "web_sessions_ended_total", Help: "Sessions that ended: stopped, expired, switched, unlisted (SRS does not list the client), srs_lost.",
	}, []string{"reason"})
	c.adopted = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "web_sessions_adopted_total", Help: "Players found in SRS's client list without a session, as after a restart.",
	})
	c.kicks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "web_srs_kicks_total", Help: "SRS clients disconnected because no picture came.",
	}, []string{"result"})
	c.reconciled = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "web_srs_reconciliations_total", Help: "Looks at SRS's client list.",
	}, []string{"result"})
	count := func(origin Origin) func() float64 {
		return func() float64 { return float64(m.count(origin)) }
	}
	registry.MustRegister(c.ended, c.adopted, c.kicks, c.reconciled,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "web_sessions", Help: "Sessions that hold a stream open.", ConstLabels: prometheus.Labels{"origin": "srs"},
		}, count(OriginSRS)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "web_sessions", Help: "Sessions that hold a stream open.", ConstLabels: prometheus.Labels{"origin": "lease"},
		}, count(OriginLease)),
	)
}

func (m *Manager) count(origin Origin) int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	n := 0
	for client := range m.sessions {
		if client.Origin == origin {
			n++
		}
	}
	return n
}
