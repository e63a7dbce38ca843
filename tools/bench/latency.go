package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/message"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/tools/internal/suite"
)

// arrivalLimit is how long a picture may take before something is wrong.
const arrivalLimit = 15 * time.Second

// latency measures the time from SRS's on_play callback to the first picture in an RTMP server, of streams that the
// vehicle sends already and of vehicles that have to be told; beside a bare publish of a picture that is at hand.
func (b *bench) latency(ctx context.Context) error {
	server, err := newRTMPServer(ctx)
	if err != nil {
		return err
	}
	defer server.close()
	addresses, err := suite.FreeAddresses()
	if err != nil {
		return err
	}
	s := &suite.Suite{
		Binaries: b.binaries, Logs: b.logs, Addresses: addresses, Env: []string{"WEB_SRS_LIVE_RTMP_URL=" + server.url()},
	}
	s.Initialize()
	for _, service := range []*suite.Service{s.JT1078, s.Web} {
		if err := service.Start(ctx); err != nil {
			return err
		}
		defer service.Stop() //nolint:errcheck // its end is not what is measured
	}
	count := strconv.Itoa(b.tries)
	sending, err := b.startHelper(ctx, "load", "--media", addresses.Live, "--count", count)
	if err != nil {
		return err
	}
	defer sending.Stop() //nolint:errcheck // it has done its work
	idle, err := b.startHelper(ctx, "load", "--gateway", addresses.Gateway, "--first", firstIdle, "--count", count)
	if err != nil {
		return err
	}
	defer idle.Stop() //nolint:errcheck // it has done its work
	if err := errors.Join(waitFor(ctx, sending, "streams", b.tries), waitFor(ctx, idle, "online", b.tries)); err != nil {
		return err
	}
	if err := pause(ctx, b.settle); err != nil {
		return err
	}
	running, cold, bare, err := b.latencies(ctx, server, addresses.HTTP)
	if err != nil {
		return err
	}

	t := table{
		title:  fmt.Sprintf("From on_play to the first picture by RTMP (%d tries, each another vehicle)", b.tries),
		header: []string{"what", "median:", "9 of 10:", "worst:", "target:"},
	}
	for _, row := range []struct {
		what   string
		times  []float64
		target string
	}{
		{"the vehicle sends already", running, "≤ 100 ms"},
		{"the vehicle has to be told (simulated: it dials at once)", cold, "≤ 500 ms"},
		{"limit: a bare RTMP publish of one picture", bare, ""},
	} {
		ms := func(q float64) string { return fmt.Sprintf("%.1f ms", 1000*quantile(row.times, q)) }
		t.add(row.what, ms(0.5), ms(0.9), ms(1), row.target)
	}
	t.print(b.out)
	return nil
}

// latencies are in seconds. The three alternate.
func (b *bench) latencies(ctx context.Context, server *rtmpServer, web string) (running, cold, bare []float64, err error) {
	sendingSIMs, err := sims(firstSending, b.tries)
	if err != nil {
		return nil, nil, nil, err
	}
	idleSIMs, err := sims(firstIdle, b.tries)
	if err != nil {
		return nil, nil, nil, err
	}
	played := func(ctx context.Context, stream string) (end func() error, err error) {
		return func() error { return hook(ctx, web, "on_stop", stream) }, hook(ctx, web, "on_play", stream)
	}
	published := func(ctx context.Context, stream string) (end func() error, err error) {
		return publish(ctx, server.url(), stream)
	}
	for i := range b.tries {
		for _, try := range []struct {
			into  *[]float64
			sim   jt1078.SIM
			begin func(ctx context.Context, stream string) (end func() error, err error)
		}{
			{&running, sendingSIMs[i], played},
			{&cold, idleSIMs[i], played},
			{&bare, jt1078.SIM{}, published},
		} {
			// At any moment of the vehicles' frames.
			if err := pause(ctx, 100*time.Millisecond+rand.N(100*time.Millisecond)); err != nil {
				return nil, nil, nil, err
			}
			stream := jt1078.StreamID{SIM: try.sim, Channel: 1}.String()
			took, err := firstPicture(ctx, server, stream, try.begin)
			if err != nil {
				return nil, nil, nil, err
			}
			*try.into = append(*try.into, took.Seconds())
		}
		b.say("latency, try %d of %d: running %.1f ms, cold %.1f ms, bare publish %.1f ms",
			i+1, b.tries, 1000*running[i], 1000*cold[i], 1000*bare[i])
	}
	return running, cold, bare, nil
}

// firstPicture is the time from the begin of something to the stream's first picture in the RTMP server.
func firstPicture(ctx context.Context, server *rtmpServer, stream string, begin func(context.Context, string) (func() error, error)) (time.Duration, error) {
	arrival := server.expect(stream)
	began := time.Now()
	end, err := begin(ctx, stream)
	if err != nil {
		return 0, err
	}
	select {
	case at := <-arrival:
		return at.Sub(began), end()
	case <-time.After(arrivalLimit):
		return 0, errors.Join(fmt.Errorf("no picture of %s came within %v", stream, arrivalLimit), end())
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// srs makes a connection for each callback, as SRS does.
var srs = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: arrivalLimit}

// hook is one of SRS's callbacks.
func hook(ctx context.Context, web, action, stream string) error {
	body, err := json.Marshal(map[string]string{"action": action, "client_id": stream, "app": "live", "stream": stream})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+web+"/api/v1/sessions", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	response, err := srs.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || strings.TrimSpace(string(answer)) != "0" {
		return fmt.Errorf("%s of %s is answered %s %q, want 200 \"0\"", action, stream, response.Status, answer)
	}
	return nil
}

// publish sends one picture to an RTMP server, as little as a publisher can do.
func publish(ctx context.Context, application, stream string) (end func() error, err error) {
	target, err := url.Parse(application)
	if err != nil {
		return nil, err
	}
	target.Fragment = stream // gortmplib has the stream's name there
	client := &gortmplib.Client{URL: target, Publish: true}
	if err := client.Initialize(ctx); err != nil {
		return nil, err
	}
	return client.NetConn().Close, client.Write(&message.Video{
		ChunkStreamID: message.VideoChunkStreamID, MessageStreamID: 0x1000000, Codec: message.CodecH264, IsKeyFrame: true,
		Type: message.VideoTypeAU, AU: make([]byte, 30<<10),
	})
}
