package publish

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
	"multi_process_server/pkg/relay"
	"multi_process_server/services/web_server/internal/pipeline"
	"multi_process_server/services/web_server/internal/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testID = "06495940943803"

func testKey(t *testing.T) jt1078.Key {
	t.Helper()
	id, err := jt1078.ParseStreamID(testID)
	if err != nil {
		t.Fatal(err)
	}
	return jt1078.Key{Kind: jt1078.KindLive, ID: id}
}

// publishTo pushes the test stream until the test ends.
func publishTo(t *testing.T, url string, pool *relay.Pool[*pipeline.Pipeline], options ...func(*Publisher)) *Publisher {
	t.Helper()
	stream, release := pool.Acquire(testKey(t))
	config := DefaultConfig()
	config.RetryMax = 200 * time.Millisecond
	p := &Publisher{
		Key: testKey(t), Config: config, URL: url, Secret: "s3cret&more", Pipeline: stream, Release: release,
		Log: zerolog.New(zerolog.NewTestWriter(t)), Metrics: NewMetrics(prometheus.NewRegistry()),
	}
	for _, option := range options {
		option(p)
	}
	p.Initialize()
	t.Cleanup(p.Close)
	return p
}

func attempts(p *Publisher, result string) float64 {
	return testutil.ToFloat64(p.Metrics.attempts.WithLabelValues(result))
}

func TestPublish(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	server := webtest.NewRTMPServer(t)
	p := publishTo(t, server.URL("live"), webtest.NewPool(t, source.Address, pipeline.DefaultConfig()))
	webtest.Eventually(t, "the server takes the stream", p.Publishing)
	probe := webtest.Run(t, server.URL("live/"+testID), 2)
	probe.CheckPlayable(t)
	if first := probe.Packets[0].Seconds(); first > 20 {
		t.Errorf("the publish does not start near 0: %v s", first)
	}
	if volume := webtest.Decode(t, server.URL("live/"+testID), 2); volume < -25 {
		t.Errorf("the tone is at %v dB", volume)
	}
}

func TestPublishGoesOnAfterTheServersRestart(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	server := webtest.NewRTMPServer(t)
	reconnected := make(chan struct{}, 100)
	p := publishTo(t, server.URL("live"), webtest.NewPool(t, source.Address, pipeline.DefaultConfig()), func(p *Publisher) {
		p.Reconnected = func() { reconnected <- struct{}{} }
	})
	webtest.Eventually(t, "the server takes the stream", p.Publishing)
	server.Stop()
	webtest.Eventually(t, "the loss is seen", func() bool { return !p.Publishing() })
	server.Start(t)
	webtest.Eventually(t, "the server takes the stream again", p.Publishing)
	<-reconnected
	webtest.Run(t, server.URL("live/"+testID), 2).CheckPlayable(t)
	if n := source.Total(); n != 1 {
		t.Errorf("%d subscriptions, want 1", n)
	}
}

// One publish lasts through the vehicle's pause, another resolution and a restart of jt1078_server. The server here
// drops a publisher that sends nothing for a second.
func TestOnePublishThroughEverything(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	server := webtest.NewRTMPServer(t)
	p := publishTo(t, server.URL("live"), webtest.NewPool(t, source.Address, pipeline.DefaultConfig()))
	webtest.Eventually(t, "the server takes the stream", p.Publishing)
	source.Set(func(c *webtest.Content) { c.Paused = true })
	time.Sleep(2500 * time.Millisecond)
	source.Set(func(c *webtest.Content) { c.Paused, c.Clip = false, webtest.NewClip(t, "640x480") })
	probe := webtest.Run(t, server.URL("live/"+testID), 2)
	probe.CheckPlayable(t)
	if v := probe.Stream(t, "video"); v.Width != 640 {
		t.Errorf("a joiner is told of a picture %d pixels wide", v.Width)
	}
	address := source.Address
	source.Stop()
	source.Start(t, address)
	before := p.LastVideo()
	webtest.Eventually(t, "pictures come again", func() bool { return p.LastVideo().After(before.Add(time.Second)) })
	if attempts(p, "ok") != 1 || attempts(p, "lost") != 0 {
		t.Errorf("%v publishes, %v lost", attempts(p, "ok"), attempts(p, "lost"))
	}
}

func TestNoServer(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	p := publishTo(t, "rtmp://"+webtest.FreeAddress(t)+"/live", webtest.NewPool(t, source.Address, pipeline.DefaultConfig()))
	webtest.Eventually(t, "it is tried again and again", func() bool { return attempts(p, "failed") >= 3 })
	if p.Publishing() {
		t.Error("publishes to nobody")
	}
}

// rtmpSink accepts publishers until the test ends and has each served.
func rtmpSink(t *testing.T, serve func(*gortmplib.ServerConn)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer connection.Close()
				c := &gortmplib.ServerConn{RW: connection}
				if c.Initialize() == nil && c.Accept() == nil {
					serve(c)
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return "rtmp://" + listener.Addr().String() + "/live"
}

// A server that takes nothing holds nobody up and is dialled again.
func TestServerThatDoesNotRead(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "1280x720", "-b:v", "8M", "-qmax", "4")})
	done := make(chan struct{})
	url := rtmpSink(t, func(*gortmplib.ServerConn) { <-done })
	t.Cleanup(func() { close(done) })
	pool := webtest.NewPool(t, source.Address, pipeline.DefaultConfig())
	p := publishTo(t, url, pool, func(p *Publisher) { p.Config.WriteTimeout = 300 * time.Millisecond })
	viewer := p.Pipeline.Attach("flv")
	defer viewer.Close()
	var units []*pipeline.Unit
	for attempts(p, "lost") < 1 {
		var err error
		if units, err = viewer.Next(t.Context(), units); err != nil {
			t.Fatal(err)
		}
	}
}

// Who ends a publish does not wait for a server that takes nothing: the one who does ends all.
func TestCloseWhileTheServerDoesNotRead(t *testing.T) {
	done := make(chan struct{})
	url := rtmpSink(t, func(*gortmplib.ServerConn) { <-done })
	t.Cleanup(func() { close(done) })
	registry := prometheus.NewRegistry()
	streams := pipeline.DefaultConfig()
	streams.QueueDuration = time.Hour
	stream := &pipeline.Pipeline{
		Key: testKey(t), Config: streams, Log: zerolog.Nop(), Metrics: pipeline.NewMetrics(registry),
		Subscribe: func(jt1078.Key, relay.Handler) interface{ Close() } { return nothing{} },
	}
	stream.Initialize()
	p := &Publisher{
		Key: testKey(t), Config: DefaultConfig(), URL: url, Pipeline: stream, Release: stream.Close,
		Log: zerolog.New(zerolog.NewTestWriter(t)), Metrics: NewMetrics(prometheus.NewRegistry()),
	}
	p.Config.WriteTimeout = time.Hour
	p.Initialize()
	clip := webtest.NewClip(t, "1280x720", "-b:v", "8M", "-qmax", "4")
	n := 0
	webtest.Eventually(t, "a write waits, and much behind it", func() bool {
		picture := clip.Pictures[n%len(clip.Pictures)]
		kind := media.FrameDelta
		if picture.Key {
			kind = media.FrameKey
		}
		n++
		stream.OnFrame(&media.Frame{Type: kind, Codec: clip.Codec, PTS: time.Duration(n) * webtest.FrameTime, Data: picture.Data})
		overflows, err := testutil.GatherAndCount(registry, "web_output_overflows_total")
		return err == nil && overflows > 0 && p.Publishing()
	})
	closed := make(chan struct{})
	go func() {
		p.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(webtest.Patience):
		t.Fatal("Close waits for the write")
	}
}

type nothing struct{}

func (nothing) Close() {}

// What the server is told of the tracks, and that it is our publisher.
func TestTracks(t *testing.T) {
	for name, clip := range map[string]*webtest.Clip{
		"H.264 Main":           webtest.NewClip(t, "320x240"),
		"H.264 High, B-frames": webtest.NewClip(t, "320x240", "-profile:v", "high", "-bf", "2"),
		"H.265":                webtest.NewH265Clip(t, "320x240"),
	} {
		t.Run(name, func(t *testing.T) {
			source := webtest.NewRelay(t, webtest.Content{Clip: clip})
			told := make(chan []string, 10)
			url := rtmpSink(t, func(c *gortmplib.ServerConn) {
				reader := &gortmplib.Reader{Conn: c}
				if err := reader.Initialize(); err != nil {
					told <- []string{err.Error()}
					return
				}
				tracks := []string{c.URL.String()}
				for _, track := range reader.Tracks() {
					tracks = append(tracks, fmt.Sprintf("%T", track.Codec))
				}
				told <- tracks
			})
			publishTo(t, url, webtest.NewPool(t, source.Address, pipeline.DefaultConfig()))
			got := strings.Join(<-told, " ")
			video := "*codecs.H264"
			if clip.Codec == media.CodecH265 {
				video = "*codecs.H265"
			}
			if want := url + "/" + testID + "?secret=s3cret%26more " + video + " *codecs.MPEG4Audio"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestNoPush(t *testing.T) {
	source := webtest.NewRelay(t, webtest.Content{Clip: webtest.NewClip(t, "320x240")})
	pool := webtest.NewPool(t, source.Address, pipeline.DefaultConfig())
	p := publishTo(t, "", pool)
	webtest.Eventually(t, "the stream is held without a push", func() bool { return !p.LastVideo().IsZero() })
	if p.Publishing() {
		t.Error("publishes nowhere")
	}
}
