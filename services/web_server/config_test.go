package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"multi_process_server/pkg/service"
)

// config.yaml is the documentation: it must say what holds without it.
func TestConfigFileHasTheDefaults(t *testing.T) {
	got, warnings, err := service.Load("config.yaml", "WEB_", DefaultConfig, nil)
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	want := DefaultConfig()
	want.Log.Levels = got.Log.Levels // an empty map and none are the same
	if !reflect.DeepEqual(got, want) {
		t.Errorf("config.yaml says\n%+v\nthe defaults are\n%+v", got, want)
	}
}

func TestConfigFileHasEveryKey(t *testing.T) {
	text, err := os.ReadFile("config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var check func(reflect.Type)
	check = func(typ reflect.Type) {
		for i := range typ.NumField() {
			key, options, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
			if !strings.Contains(options, "inline") && !regexp.MustCompile(`(?m)^ *`+key+":").Match(text) {
				t.Errorf("%s.%s: key %q is not in config.yaml", typ, typ.Field(i).Name, key)
			}
			if typ.Field(i).Type.Kind() == reflect.Struct {
				check(typ.Field(i).Type)
			}
		}
	}
	check(reflect.TypeFor[Config]())
}

func TestConfigRefuses(t *testing.T) {
	for variable, key := range map[string]string{
		"WEB_HTTP_ADDRESS=9531":                 "http.address",
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
		"WEB_ADMIN_ADDRESS=x":                   "admin.address",
		"WEB_LOG_LEVEL=loud":                    "log.level",
	} {
		if _, _, err := service.Load("", "WEB_", DefaultConfig, []string{variable}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v, want one that names %s", variable, err, key)
		}
	}
}
