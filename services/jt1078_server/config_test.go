package main

import (
	"strings"
	"testing"

	"multi_process_server/pkg/service"
	"multi_process_server/pkg/service/servicetest"
)

func TestConfigFile(t *testing.T) {
	servicetest.ConfigFile(t, "config.yaml", "JT1078_", DefaultConfig)
}

func TestEnvironmentOverridesEveryKind(t *testing.T) {
	got, warnings, err := service.Load("", "JT1078_", DefaultConfig, []string{
		"JT1078_PUBLIC_HOST=203.0.113.7", "JT1078_HUB_SUBSTREAM=main", "JT1078_HUB_START_KEY_FRAME=3s",
		"JT1078_INGEST_ACCEPT=known", "JT1078_SIGNALLING_MODE=redis", "JT1078_REDIS_ADDR=127.0.0.1:6379",
	})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if got.PublicHost != "203.0.113.7" || got.Hub.Substream.String() != "main" || got.Hub.Start.KeyFrame.Seconds() != 3 ||
		got.Ingest.Accept != "known" || got.Signalling.Mode != "redis" || got.Redis.Addr != "127.0.0.1:6379" {
		t.Errorf("got %+v", got)
	}
}

func TestConfigRefuses(t *testing.T) {
	servicetest.Refuses(t, "JT1078_", DefaultConfig, map[string]string{
		"JT1078_INGEST_LIVE_ADDRESS=9501":       "ingest.live_address",
		"JT1078_INGEST_ACCEPT=some":             "ingest.accept",
		"JT1078_INGEST_MAX_FRAME=1":             "ingest.max_frame",
		"JT1078_GATEWAY_REPLY_TIMEOUT=0s":       "gateway.reply_timeout",
		"JT1078_GATEWAY_OPEN_REGISTRATION=no":   "gateway.auth_secret",
		"JT1078_SIGNALLING_MODE=pigeon":         "signalling.mode",
		"JT1078_HUB_GRACE=-1s":                  "hub.grace",
		"JT1078_HUB_QUEUE_MAX_BYTES=100000":     "hub.queue_max_bytes",
		"JT1078_HUB_SUBSTREAM=third":            "JT1078_HUB_SUBSTREAM",
		"JT1078_RELAY_ADDRESS=x":                "relay.address",
		"JT1078_REDIS_ADDR=redis":               "redis.addr",
		"JT1078_NODE_RELAY_ADDRESS=10.0.0.1:91": "redis.addr",
		"JT1078_NODE_RELAY_ADDRESS=:9511":       "node.relay_address",
		"JT1078_ADMIN_ADDRESS=x":                "admin.address",
	})
}

// What cannot start is refused before it is tried.
func TestConfigRefusesWhatCannotStart(t *testing.T) {
	for _, c := range []struct {
		environ []string
		says    string // the error's beginning; empty: it can start
	}{
		{[]string{"JT1078_SIGNALLING_MODE=redis", "JT1078_PUBLIC_HOST=203.0.113.7"}, "redis.addr: "},
		{[]string{"JT1078_SIGNALLING_MODE=redis", "JT1078_REDIS_ADDR=127.0.0.1:6379"}, "public_host: "},
		{[]string{"JT1078_SIGNALLING_MODE=redis", "JT1078_REDIS_ADDR=127.0.0.1:6379", "JT1078_PUBLIC_HOST=203.0.113.7"}, ""},
		{[]string{"JT1078_SIGNALLING_MODE=builtin", "JT1078_GATEWAY_ADDRESS="}, "gateway.address: "},
		{[]string{"JT1078_GATEWAY_ADDRESS="}, ""},
		{[]string{"JT1078_INGEST_LIVE_ADDRESS=:http"}, "ingest.live_address: "},
		{[]string{"JT1078_INGEST_LIVE_ADDRESS=:0"}, "ingest.live_address: "},
		{[]string{"JT1078_INGEST_LIVE_ADDRESS=:65536"}, "ingest.live_address: "},
		{[]string{"JT1078_INGEST_LIVE_ADDRESS=:http", "JT1078_SIGNALLING_MODE=off"}, ""},
		{[]string{"JT1078_INGEST_LIVE_ADDRESS=:http", "JT1078_GATEWAY_ADDRESS="}, ""},
	} {
		_, _, err := service.Load("", "JT1078_", DefaultConfig, c.environ)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: error %v, want %q", c.environ, err, c.says)
		}
	}
}
