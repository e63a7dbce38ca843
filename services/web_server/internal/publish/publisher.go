// Package publish pushes a stream to SRS by RTMP. One publish lasts as long as somebody watches through SRS, whatever
// the vehicle does meanwhile: SRS ends every player when a publish ends. SRS itself may come and go.
package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/web_server/internal/pipeline"
)

// retryMin is the wait after the first failure.
const retryMin = 100 * time.Millisecond

// Publisher pushes one stream. Fill in the exported fields, call Initialize, and Close at the end.
type Publisher struct {
	Key    jt1078.Key
	Config Config
	// URL is the RTMP application, such as rtmp://127.0.0.1:1935/live. When it is empty nothing is pushed and the
	// stream is only held.
	URL string
	// Secret goes into the query as `secret`: SRS hands it to its on_publish callback.
	Secret   string
	Log      zerolog.Logger
	Metrics  *Metrics
	Pipeline *pipeline.Pipeline
	// Release gives the pipeline back.
	Release func()
	// Reconnected is told when SRS takes the stream again after it was lost.
	Reconnected func()

	opened     time.Time
	publishing atomic.Bool
	cancel     context.CancelFunc
	wg         sync.WaitGroup
}

// Metrics are shared by all publishers of a process.
type Metrics struct {
	attempts   *prometheus.CounterVec
	publishing prometheus.Gauge
	first      prometheus.Histogram
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "web_publish_attempts_total", Help: "Tries to publish a stream to SRS, and publishes that SRS ended (lost).",
		}, []string{"result"}),
		publishing: prometheus.NewGauge(prometheus.GaugeOpts{Name: "web_publishing", Help: "Streams that SRS takes now."}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "web_publish_first_picture_seconds", Help: "From the first viewer of a stream to its first picture handed to SRS.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
	}
	registry.MustRegister(m.attempts, m.publishing, m.first)
	return m
}

// Initialize starts to push.
func (p *Publisher) Initialize() {
	p.opened = time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	if p.URL != "" {
		p.wg.Go(func() { p.run(ctx) })
	}
}

// Close ends the publish and gives the pipeline back.
func (p *Publisher) Close() {
	p.cancel()
	p.wg.Wait()
	p.Release()
}

// Publishing reports whether SRS takes the stream now.
func (p *Publisher) Publishing() bool { return p.publishing.Load() }

// LastVideo is when the last picture came from the vehicle.
func (p *Publisher) LastVideo() time.Time { return p.Pipeline.LastVideo() }

func (p *Publisher) run(ctx context.Context) {
	output := p.Pipeline.Attach("rtmp")
	defer output.Close()
	retry := retryMin
	complaint := ""
	for again := false; ; again = true {
		began := time.Now()
		err := p.publish(ctx, output, again)
		if ctx.Err() != nil || errors.Is(err, pipeline.ErrClosed) {
			return
		}
		if time.Since(began) > p.Config.RetryMax+p.Config.DialTimeout { // it has worked for a while
			retry, complaint = retryMin, ""
		}
		if err.Error() != complaint { // a server that is down would fill the log
			complaint = err.Error()
			p.Log.Warn().Err(err).Dur("retry", retry).Msg("the push to SRS failed and is tried again for as long as somebody watches")
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return
		}
		retry = min(2*retry, p.Config.RetryMax)
	}
}

// publish waits for a picture, connects, and sends until something fails.
func (p *Publisher) publish(ctx context.Context, output *pipeline.Output, again bool) error {
	// SRS gives up a publish that brings nothing, so there is none before there is something to send.
	if _, err := output.Next(ctx, nil); err != nil {
		return err
	}
	connection, client, err := p.dial(ctx)
	if err != nil {
		p.Metrics.attempts.WithLabelValues("failed").Inc()
		return err
	}
	p.Metrics.attempts.WithLabelValues("ok").Inc()
	p.Log.Info().Bool("again", again).Msg("SRS takes the stream")
	p.publishing.Store(true)
	p.Metrics.publishing.Inc()
	if again && p.Reconnected != nil {
		p.Reconnected()
	}

	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(readAll(connection, client)) })
	wg.Go(func() {
		<-ctx.Done()
		connection.Close() // ends the reader, and a write that SRS lets wait
	})
	output.Restart()
	cancel(p.send(ctx, output, connection, client))
	wg.Wait()

	p.publishing.Store(false)
	p.Metrics.publishing.Dec()
	p.Metrics.attempts.WithLabelValues("lost").Inc()
	return context.Cause(ctx) // what came first
}

// dial returns a connection that the server has allowed to publish.
func (p *Publisher) dial(ctx context.Context) (*conn, *gortmplib.Client, error) {
	target, err := url.Parse(strings.TrimSuffix(p.URL, "/"))
	if err != nil {
		return nil, nil, fmt.Errorf("srs.%s.rtmp_url: %w", p.Key.Kind, err)
	}
	target.Fragment = p.Key.ID.String() // gortmplib has the stream's name there
	if p.Secret != "" {
		target.Fragment += "?secret=" + url.QueryEscape(p.Secret)
	}
	ctx, cancel := context.WithTimeout(ctx, p.Config.DialTimeout)
	defer cancel()
	connection := &conn{timeout: p.Config.WriteTimeout, dialing: true}
	client := &gortmplib.Client{
		URL: target, Publish: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			var dialer net.Dialer
			tcp, err := dialer.DialContext(ctx, network, address)
			connection.Conn = tcp
			return connection, err
		},
	}
	connection.Lock()
	defer connection.Unlock()
	if err := client.Initialize(ctx); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.URL, err)
	}
	connection.dialing = false
	return connection, client, nil
}

// readAll answers what the server asks, until the connection ends.
func readAll(c *conn, client *gortmplib.Client) error {
	c.Lock()
	defer c.Unlock()
	for {
		if _, err := client.Read(); err != nil {
			return fmt.Errorf("SRS ended the connection: %w", err)
		}
	}
}

// send writes what comes out of the pipeline, all that is there in one turn.
func (p *Publisher) send(ctx context.Context, output *pipeline.Output, c *conn, client *gortmplib.Client) error {
	w := writer{client: client, audio: p.Pipeline.AudioFormat()}
	var units []*pipeline.Unit
	for {
		var err error
		if units, err = output.Next(ctx, units); err != nil {
			return err
		}
		first := w.video == nil
		c.Lock()
		c.corked = true
		for _, u := range units {
			if err = w.write(u); err != nil {
				break
			}
		}
		c.corked = false
		if err == nil {
			err = c.flush()
		}
		c.Unlock()
		if err != nil {
			return err
		}
		if first && !p.opened.IsZero() {
			p.Metrics.first.Observe(time.Since(p.opened).Seconds())
			p.opened = time.Time{}
		}
	}
}

// writer turns units into the messages of one publish: what a decoder needs first, and again when it changes.
type writer struct {
	client       interface{ Write(message.Message) error }
	video, audio *pipeline.Format
	sentAudio    *pipeline.Format
	base         time.Duration // decoding time of the first picture: the publish starts at 0
}

func (w *writer) write(u *pipeline.Unit) error {
	switch {
	case u.Video() && u.Format != w.video:
		if err := w.begin(u); err != nil {
			return err
		}
	case w.video == nil || !u.Video() && u.DTS <= w.base:
		return nil // sound of before the first picture, where the unit of silence stands
	case !u.Video() && u.Format != w.sentAudio:
		w.audio = u.Format
		if err := w.config(w.audio, u.DTS-w.base); err != nil {
			return err
		}
		w.sentAudio = w.audio
	}
	return w.client.Write(accessUnit(u, w.base))
}

// begin announces a picture's format: the first one together with the sound's, as SRS takes no track that comes later.
func (w *writer) begin(u *pipeline.Unit) error {
	if w.video == nil {
		w.base = u.DTS
		// Only here: it bears no time, and players would see the stream's go back to 0.
		if err := w.client.Write(metadata(u.Format, w.audio)); err != nil {
			return err
		}
	}
	w.video = u.Format
	if err := w.config(w.video, u.DTS-w.base); err != nil {
		return err
	}
	if w.audio == nil || w.audio == w.sentAudio {
		return nil
	}
	w.sentAudio = w.audio
	if err := w.config(w.audio, u.DTS-w.base); err != nil {
		return err
	}
	// SRS, unless it is told otherwise, writes "no sound" into the header of its FLV when the first messages that it has
	// for a player bring a picture and no unit of sound. The vehicle's own comes later.
	lead := &pipeline.Unit{Format: w.audio, DTS: u.DTS, PTS: u.DTS, Payload: w.audio.Lead}
	return w.client.Write(accessUnit(lead, w.base))
}

func (w *writer) config(f *pipeline.Format, at time.Duration) error {
	header, err := sequenceHeader(f, at)
	if err != nil {
		return err
	}
	return w.client.Write(header)
}
