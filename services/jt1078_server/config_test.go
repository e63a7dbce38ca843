package main

import (
	"reflect"
	"testing"

	"multi_process_server/pkg/service"
)

func TestConfigFileShowsDefaults(t *testing.T) {
	got, warnings, err := service.Load("config.yaml", "JT1078_", DefaultConfig, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	want := DefaultConfig()
	if len(got.Log.Levels) == 0 {
		got.Log.Levels = want.Log.Levels // an empty map and none are the same
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("config.yaml says\n%+v, the defaults are\n%+v", got, want)
	}
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

func TestConfigNamesTheKey(t *testing.T) {
	for _, variable := range []string{
		"JT1078_HUB_GRACE=-1s", "JT1078_HUB_SUBSTREAM=both", "JT1078_HUB_QUEUE_MAX_BYTES=100000", "JT1078_INGEST_MAX_FRAME=1",
	} {
		if _, _, err := service.Load("", "JT1078_", DefaultConfig, []string{variable}); err == nil {
			t.Errorf("%s was taken", variable)
		}
	}
}
