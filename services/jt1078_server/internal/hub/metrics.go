package hub

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"multi_process_server/pkg/media"
)

// metrics hold a counter for each thing that happens, resolved once: nothing is looked up for a frame.
type metrics struct {
	frames         [media.FrameData + 1]prometheus.Counter
	bytes          prometheus.Counter
	dropped        [dropCount]prometheus.Counter
	overflows      prometheus.Counter
	overflowFrames prometheus.Counter
	publishers     prometheus.Gauge
	refused        *prometheus.CounterVec
	takeOvers      prometheus.Counter
	interruptions  prometheus.Counter
	subscribers    prometheus.Gauge
	starts         *prometheus.CounterVec
	startSeconds   prometheus.Histogram
}

// drop is why a frame went no further.
type drop int

const (
	notDropped           drop = iota
	dropWaitKey               // a delta frame after damage, or before the first key frame
	dropNoParameterSets       // a key frame, and no parameter sets have come
	dropBadParameterSets      // a frame with a malformed parameter set
	dropNoPicture             // a video frame without any slice
	dropEarly                 // sound or data before the first picture

	dropCount
)

var dropReasons = [dropCount]string{
	dropWaitKey:          "wait_key",
	dropNoParameterSets:  "no_parameter_sets",
	dropBadParameterSets: "bad_parameter_sets",
	dropNoPicture:        "no_picture",
	dropEarly:            "before_picture",
}

// newMetrics registers the hub's metrics; a nil registerer registers them nowhere.
func newMetrics(registerer prometheus.Registerer, streams func() float64, pool *bufferPool) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "jt1078_hub_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "jt1078_hub_" + name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "jt1078_hub_" + name, Help: help}, []string{label})
	}
	frames := vector("frames_total", "Frames taken from vehicles and given on, by type.", "type")
	dropped := vector("frames_dropped_total", "Frames taken from vehicles that nobody could use, by reason.", "reason")
	m := &metrics{
		bytes:          counter("frame_bytes_total", "Bytes of the frames given on."),
		overflows:      counter("subscriber_overflows_total", "Times that a slow subscriber's queue was emptied."),
		overflowFrames: counter("subscriber_frames_dropped_total", "Frames that slow subscribers did not get."),
		publishers:     gauge("publishers", "Vehicle channels that send now."),
		refused:        vector("publishers_refused_total", "Vehicle channels turned away, by reason.", "reason"),
		takeOvers:      counter("take_overs_total", "Times that a new connection took a stream over from an old one."),
		interruptions:  counter("interruptions_total", "Times that a watched vehicle's connection ended."),
		subscribers:    gauge("subscribers", "Subscribers of all streams now."),
		starts:         vector("starts_total", "Starts on demand, by result: playing, abandoned, or the stage that did not come.", "result"),
		startSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jt1078_hub_start_seconds", Help: "Time from the wish for a stream that does not play to its first key frame.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 20},
		}),
	}
	for i, name := range [...]string{
		media.FrameKey: "key", media.FrameDelta: "delta", media.FrameParameterSets: "parameter_sets",
		media.FrameAudio: "audio", media.FrameData: "data",
	} {
		if name != "" {
			m.frames[i] = frames.WithLabelValues(name)
		}
	}
	for i, reason := range dropReasons {
		if reason != "" {
			m.dropped[i] = dropped.WithLabelValues(reason)
		}
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		frames, dropped, m.bytes, m.overflows, m.overflowFrames, m.publishers, m.refused, m.takeOvers, m.interruptions,
		m.subscribers, m.starts, m.startSeconds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "jt1078_hub_streams", Help: "Streams that are sent, watched or remembered."}, streams),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "jt1078_hub_buffer_bytes", Help: "Memory of the frames that are cached or queued.",
		}, func() float64 { return float64(pool.inUse.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "jt1078_hub_free_buffer_bytes", Help: "Memory that is kept for frames to come.",
		}, func() float64 { return float64(pool.free.Load()) }),
	} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("hub's metrics: %w", err)
		}
	}
	return m, nil
}
