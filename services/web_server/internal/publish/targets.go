package publish

import (
	"fmt"
	"net/url"

	"multi_process_server/pkg/jt1078"
)

// Target is one SRS server.
type Target struct {
	// RTMPURL is the application that streams are pushed to; empty is no push.
	RTMPURL string `yaml:"rtmp_url"`
	// APIURL is the root of its HTTP API; empty: its client list is not asked for.
	APIURL string `yaml:"api_url"`
	// PlayURL is where players find the application over HTTP. It only goes into answers to play requests; empty: not.
	PlayURL string `yaml:"play_url"`
}

// Targets is the `srs` section: the servers by the kind of stream, and how streams are pushed.
type Targets struct {
	Live   Target `yaml:"live"`
	Replay Target `yaml:"replay"`
	// PublishSecret tells our publishers from strangers in on_publish; empty: a new one at each start.
	PublishSecret string `yaml:"publish_secret"`
	Push          Config `yaml:"push"`
}

// DefaultTargets are SRS servers on this machine.
func DefaultTargets() Targets {
	return Targets{
		Live:   Target{RTMPURL: "rtmp://127.0.0.1:1935/live", APIURL: "http://127.0.0.1:1985"},
		Replay: Target{RTMPURL: "rtmp://127.0.0.1:1936/replay", APIURL: "http://127.0.0.1:1986"},
		Push:   DefaultConfig(),
	}
}

// Of is the server for a kind of stream.
func (t *Targets) Of(kind jt1078.Kind) Target {
	if kind == jt1078.KindReplay {
		return t.Replay
	}
	return t.Live
}

// Validate names the first key that is wrong.
func (t *Targets) Validate() error {
	for _, kind := range [...]jt1078.Kind{jt1078.KindLive, jt1078.KindReplay} {
		target := t.Of(kind)
		for _, u := range []struct{ key, value, scheme, scheme2 string }{
			{"rtmp_url", target.RTMPURL, "rtmp", "rtmps"},
			{"api_url", target.APIURL, "http", "https"},
			{"play_url", target.PlayURL, "http", "https"},
		} {
			if u.value == "" {
				continue
			}
			parsed, err := url.Parse(u.value)
			if err != nil || parsed.Host == "" || parsed.Scheme != u.scheme && parsed.Scheme != u.scheme2 {
				return fmt.Errorf("srs.%s.%s: %q is not %s://host[:port]/…", kind, u.key, u.value, u.scheme)
			}
		}
	}
	return t.Push.Validate()
}
