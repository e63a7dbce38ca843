package main

import (
	"strings"
	"testing"

	"multi_process_server/tools/internal/suite"
)

func TestGuide(t *testing.T) {
	s := &suite.Suite{Addresses: suite.DefaultAddresses(func(string) string { return "" })}
	text := guide(s)
	for _, line := range []string{
		`rtsp://127.0.0.1:9521/live/06495940943803`,
		`http://127.0.0.1:9531/live/06495940943803.flv`,
		`01391234567802`,
		`curl "http://127.0.0.1:9531/web_on_play" -X POST -d "{\"device_id\":\"06495940943803\"}"`,
		`curl "http://127.0.0.1:9531/api/v1/sessions" -X POST -d "{\"client_id\":\"dsfsdfsafd\",\"stream\":\"06495940943803\",\"action\":\"on_play\"}"`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("the guide does not say %s:\n%s", line, text)
		}
	}
}

func TestLocal(t *testing.T) {
	for address, want := range map[string]string{
		":9521": "127.0.0.1:9521", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "127.0.0.1:1", "10.1.2.3:1": "10.1.2.3:1", "nonsense": "nonsense",
	} {
		if got := local(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
