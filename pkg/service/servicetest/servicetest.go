// Package servicetest checks a service's configuration.
package servicetest

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"multi_process_server/pkg/service"
)

// ConfigFile checks that a service's config.yaml, which is the documentation of its settings, has every key, each with
// its default.
func ConfigFile[C any](t *testing.T, file, envPrefix string, defaults func() C) {
	t.Helper()
	got, warnings, err := service.Load(file, envPrefix, defaults, nil)
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	if want := defaults(); !same(reflect.ValueOf(got), reflect.ValueOf(want)) {
		t.Errorf("%s says\n%+v\nthe defaults are\n%+v", file, got, want)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	everyKey(t, file, string(text), reflect.TypeFor[C]())
}

// same is reflect.DeepEqual, but that an empty map or list is the same as none.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Map, reflect.Slice:
		return a.Len() == 0 && b.Len() == 0 || reflect.DeepEqual(a.Interface(), b.Interface())
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func everyKey(t *testing.T, file, text string, typ reflect.Type) {
	t.Helper()
	for i := range typ.NumField() {
		key, options, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
		inline := strings.Contains(options, "inline")
		if !inline && !regexp.MustCompile(`(?m)^ *`+regexp.QuoteMeta(key)+":").MatchString(text) {
			t.Errorf("the key %q is not in %s", key, file)
		}
		if typ.Field(i).Type.Kind() == reflect.Struct {
			everyKey(t, file, text, typ.Field(i).Type)
		}
	}
}

// Refuses checks that each variable, such as "PC_RTSP_ADDRESS=9521", is refused with an error that names the key.
func Refuses[C any](t *testing.T, envPrefix string, defaults func() C, keys map[string]string) {
	t.Helper()
	for variable, key := range keys {
		if _, _, err := service.Load("", envPrefix, defaults, []string{variable}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v, want one that names %s", variable, err, key)
		}
	}
}
