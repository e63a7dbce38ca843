package main

import (
	"testing"

	"multi_process_server/pkg/service/servicetest"
)

func TestConfigFile(t *testing.T) {
	servicetest.ConfigFile(t, "config.yaml", "WEB_", DefaultConfig)
}

func TestConfigRefuses(t *testing.T) {
	servicetest.Refuses(t, "WEB_", DefaultConfig, map[string]string{
		"WEB_HTTP_ADDRESS=9531":                 "http.address",
		"WEB_HTTP_MAX_CONNECTIONS=0":            "http.max_connections",
		"WEB_HTTP_CORS_ORIGINS=[example.com]":   "http.cors_origins",
		"WEB_RELAY_ADDRESS=here":                "relay.address",
		"WEB_SRS_LIVE_RTMP_URL=http://srs/live": "srs.live.rtmp_url",
		"WEB_SRS_REPLAY_API_URL=srs:1985":       "srs.replay.api_url",
		"WEB_SRS_PUSH_RETRY_MAX=0s":             "srs.push.retry_max",
		"WEB_SESSIONS_LEASE=0s":                 "sessions.lease",
		"WEB_SESSIONS_MAX=0":                    "sessions.max",
		"WEB_STREAM_GOP_BYTES=1":                "stream.gop_bytes",
		"WEB_STREAM_QUEUE_BYTES=100000":         "stream.queue_bytes",
		"WEB_DIRECT_MAX_VIEWERS=0":              "direct.max_viewers",
		"WEB_DIRECT_NO_VIDEO=0s":                "direct.no_video",
		"WEB_ADMIN_ADDRESS=x":                   "admin.address",
		"WEB_LOG_LEVEL=loud":                    "log.level",
	})
}
