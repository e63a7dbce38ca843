package main

import (
	"testing"

	"multi_process_server/pkg/service/servicetest"
)

func TestConfigFile(t *testing.T) {
	servicetest.ConfigFile(t, "config.yaml", "PC_", DefaultConfig)
}

func TestConfigRefuses(t *testing.T) {
	servicetest.Refuses(t, "PC_", DefaultConfig, map[string]string{
		"PC_RTSP_ADDRESS=9521":      "rtsp.address",
		"PC_RTSP_RTP_ADDRESS=:9523": "rtsp.rtp_address",
		"PC_RTSP_START_TIMEOUT=0s":  "rtsp.start_timeout",
		"PC_RTSP_MAX_VIEWERS=0":     "rtsp.max_viewers",
		"PC_RELAY_ADDRESS=here":     "relay.address",
		"PC_REDIS_ADDR=redis":       "redis.addr",
		"PC_ADMIN_ADDRESS=x":        "admin.address",
	})
}
