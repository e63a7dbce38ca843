package main

import (
	"reflect"
	"testing"

	"multi_process_server/pkg/service"
)

func TestConfigFileShowsDefaults(t *testing.T) {
	got, warnings, err := service.Load("config.yaml", "PC_", DefaultConfig, nil)
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
