package main

import (
	"testing"

	"multi_process_server/pkg/service/servicetest"
)

func TestConfigFile(t *testing.T) {
	servicetest.ConfigFile(t, "config.yaml", "JT1078_", DefaultConfig)
}

func TestConfigRefuses(t *testing.T) {
	servicetest.Refuses(t, "JT1078_", DefaultConfig, map[string]string{
		"JT1078_INGEST_LIVE_ADDRESS=9501":       "ingest.live_address",
		"JT1078_INGEST_ACCEPT=some":             "ingest.accept",
		"JT1078_GATEWAY_REPLY_TIMEOUT=0s":       "gateway.reply_timeout",
		"JT1078_GATEWAY_OPEN_REGISTRATION=no":   "gateway.auth_secret",
		"JT1078_SIGNALLING_MODE=pigeon":         "signalling.mode",
		"JT1078_HUB_GRACE=-1s":                  "hub.grace",
		"JT1078_HUB_SUBSTREAM=third":            "JT1078_HUB_SUBSTREAM",
		"JT1078_RELAY_ADDRESS=x":                "relay.address",
		"JT1078_REDIS_ADDR=redis":               "redis.addr",
		"JT1078_NODE_RELAY_ADDRESS=10.0.0.1:91": "redis.addr",
		"JT1078_NODE_RELAY_ADDRESS=:9511":       "node.relay_address",
		"JT1078_ADMIN_ADDRESS=x":                "admin.address",
	})
}
