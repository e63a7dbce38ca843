package pipeline

import "github.com/prometheus/client_golang/prometheus"

// Metrics are shared by all pipelines of a process.
type Metrics struct {
	videoErrors *prometheus.CounterVec
	unsupported *prometheus.CounterVec
	resyncs     prometheus.Counter
	audioErrors prometheus.Counter
	outputs     *prometheus.GaugeVec
	dropped     *prometheus.CounterVec
	overflows   *prometheus.CounterVec
	streams     prometheus.Gauge
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		videoErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "web_video_errors_total", Help: "Access units with malformed parameter sets, in a codec that no output carries, or whose order of pictures could not be followed (dts).",
		}, []string{"kind"}),
		unsupported: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "web_unsupported_audio_total", Help: "Streams whose sound is replaced by silence, by its codec.",
		}, []string{"codec"}),
		resyncs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "web_audio_resyncs_total", Help: "Times that sound was stretched by silence or cut to follow the vehicle's clock.",
		}),
		audioErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "web_audio_errors_total", Help: "Packets of sound that could not be decoded or encoded.",
		}),
		outputs: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "web_outputs", Help: "Outputs attached to a stream: the push to SRS (rtmp) and direct viewers.",
		}, []string{"format"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "web_output_dropped_units_total", Help: "Access units that slow outputs lost.",
		}, []string{"format"}),
		overflows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "web_output_overflows_total", Help: "Times that a slow output's queue was given up until the next key frame.",
		}, []string{"format"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "web_streams", Help: "Streams subscribed at jt1078_server.",
		}),
	}
	registry.MustRegister(m.videoErrors, m.unsupported, m.resyncs, m.audioErrors, m.outputs, m.dropped, m.overflows, m.streams)
	return m
}
