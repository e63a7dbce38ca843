package signalling

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"multi_process_server/pkg/jt808"
)

// knownMessages are what the gateway understands; they are also the values of a metric's label, with "other".
var knownMessages = [...]jt808.MessageID{
	jt808.IDTerminalReply, jt808.IDHeartbeat, jt808.IDLogoff, jt808.IDRegister, jt808.IDAuthenticate, jt808.IDLocation,
	jt808.IDLocationBatch,
}

type gatewayMetrics struct {
	connections     prometheus.Gauge
	vehicles        prometheus.Gauge
	refused         prometheus.Counter
	messages        map[jt808.MessageID]prometheus.Counter
	otherMessages   prometheus.Counter
	badFrames       map[jt808.FrameError]prometheus.Counter
	badMessages     *prometheus.CounterVec
	registrations   *prometheus.CounterVec
	authentications *prometheus.CounterVec
	ends            *prometheus.CounterVec
	retries         prometheus.Counter
	heldBytes       prometheus.Gauge
}

func newGatewayMetrics(registerer prometheus.Registerer) *gatewayMetrics {
	auto := promauto.With(registerer)
	vector := func(name, help, label string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &gatewayMetrics{
		connections: auto.NewGauge(prometheus.GaugeOpts{
			Name: "jt1078_gateway_connections", Help: "Open JT/T 808 connections.",
		}),
		vehicles: auto.NewGauge(prometheus.GaugeOpts{
			Name: "jt1078_gateway_vehicles", Help: "Authenticated vehicles.",
		}),
		refused: auto.NewCounter(prometheus.CounterOpts{
			Name: "jt1078_gateway_refused_total", Help: "Connections refused at gateway.max_connections.",
		}),
		retries: auto.NewCounter(prometheus.CounterOpts{
			Name: "jt1078_gateway_command_retries_total", Help: "Commands sent again because no reply came.",
		}),
		heldBytes: auto.NewGauge(prometheus.GaugeOpts{
			Name: "jt1078_gateway_held_bytes", Help: "Sub-packages that wait for the rest of their message.",
		}),
		messages:        map[jt808.MessageID]prometheus.Counter{},
		badFrames:       map[jt808.FrameError]prometheus.Counter{},
		badMessages:     vector("jt1078_gateway_bad_messages_total", "Messages that were not accepted.", "reason"),
		registrations:   vector("jt1078_gateway_registrations_total", "Registrations (0x0100).", "result"),
		authentications: vector("jt1078_gateway_authentications_total", "Authentications (0x0102).", "result"),
		ends:            vector("jt1078_gateway_ended_total", "Connections that ended.", "reason"),
	}
	messages := vector("jt1078_gateway_messages_total", "Messages received.", "message")
	for _, id := range knownMessages {
		m.messages[id] = messages.WithLabelValues(id.String())
	}
	m.otherMessages = messages.WithLabelValues("other")
	badFrames := vector("jt1078_gateway_bad_frames_total", "Frames thrown away.", "reason")
	for _, e := range jt808.FrameErrors {
		m.badFrames[e] = badFrames.WithLabelValues(e.String())
	}
	return m
}

// known reports whether the gateway understands the message, and counts it.
func (m *gatewayMetrics) known(id jt808.MessageID) bool {
	counter, known := m.messages[id]
	if !known {
		counter = m.otherMessages
	}
	counter.Inc()
	return known
}

type commanderMetrics struct {
	commands *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newCommanderMetrics(registerer prometheus.Registerer) *commanderMetrics {
	auto := promauto.With(registerer)
	return &commanderMetrics{
		commands: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "jt1078_signalling_commands_total", Help: "Commands to vehicles.",
		}, []string{"road", "command", "result"}),
		seconds: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "jt1078_signalling_command_seconds",
			Help:    "Time from a command to the vehicle's reply, or until it was queued.",
			Buckets: []float64{.001, .005, .02, .1, .25, .5, 1, 2, 4, 8},
		}, []string{"road"}),
	}
}
