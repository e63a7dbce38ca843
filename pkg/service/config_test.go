package service

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type testConfig struct {
	Common     `yaml:",inline"`
	PublicHost string `yaml:"public_host"`
	Redis      struct {
		Addr string `yaml:"addr"`
		DB   int    `yaml:"db"`
	} `yaml:"redis"`
	Hub struct {
		Grace time.Duration `yaml:"grace"`
		Open  bool          `yaml:"open"`
		Names []string      `yaml:"names"`
	} `yaml:"hub"`
}

func defaultTestConfig() testConfig {
	var c testConfig
	c.Log = DefaultLogConfig()
	c.Redis.Addr = "127.0.0.1:6379"
	c.Hub.Grace = 5 * time.Second
	c.Hub.Names = []string{"a", "b"}
	return c
}

func (c *testConfig) Validate() error {
	if c.Hub.Grace < 0 {
		return fmt.Errorf("hub.grace: %v is negative", c.Hub.Grace)
	}
	return c.Common.Validate()
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoad(t *testing.T) {
	for _, tc := range []struct {
		name    string
		file    string
		environ []string
		want    func(*testConfig)
	}{
		{"defaults", "", nil, func(*testConfig) {}},
		{"file", "public_host: 203.0.113.7\nhub:\n  grace: 7s\nlog:\n  level: debug\n", nil, func(c *testConfig) {
			c.PublicHost, c.Hub.Grace, c.Log.Level = "203.0.113.7", 7*time.Second, "debug"
		}},
		{"environment over file", "hub:\n  grace: 7s\n", []string{"T_HUB_GRACE=9s", "T_REDIS_DB=3", "T_HUB_OPEN=true", "T_PUBLIC_HOST=12", "T_REDIS_ADDR=", "T_HUB_NAMES=[c]", "T_LOG_LEVELS={hub: debug}", "OTHER=1"}, func(c *testConfig) {
			c.Hub.Grace, c.Redis.DB, c.Hub.Open, c.PublicHost, c.Redis.Addr = 9*time.Second, 3, true, "12", ""
			c.Hub.Names, c.Log.Levels = []string{"c"}, map[string]string{"hub": "debug"}
		}},
		{"sections of comments keep their defaults", "hub:\n  # grace: 7s\nlog:\n", nil, func(*testConfig) {}},
		{"a file of comments", "# nothing\n", nil, func(*testConfig) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := ""
			if tc.file != "" {
				file = writeFile(t, tc.file)
			}
			got, warnings, err := Load(file, "T_", defaultTestConfig, tc.environ)
			if err != nil || len(warnings) != 0 {
				t.Fatalf("error %v, warnings %q", err, warnings)
			}
			want := defaultTestConfig()
			tc.want(&want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, tc := range []struct{ name, file, variable, want string }{
		{"unknown key", "redis:\n  adr: x\n", "", "adr"},
		{"unknown key in the embedded part", "log:\n  lvl: x\n", "", "lvl"},
		{"unknown key at the top", "publichost: x\n", "", "publichost"},
		{"wrong type", "redis:\n  db: many\n", "", "db"},
		{"wrong duration", "hub:\n  grace: soon\n", "", "grace"},
		{"not YAML", "redis: [\n", "", "config.yaml"},
		{"value", "hub:\n  grace: -1s\n", "", "hub.grace"},
		{"level", "log:\n  level: loud\n", "", "log.level"},
		{"variable of the wrong type", "", "T_REDIS_DB=many", "T_REDIS_DB"},
		{"value of a variable", "", "T_LOG_FORMAT=xml", "log.format"},
		{"admin address", "admin:\n  address: here\n", "", "admin.address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := ""
			if tc.file != "" {
				file = writeFile(t, tc.file)
			}
			_, _, err := Load(file, "T_", defaultTestConfig, []string{tc.variable})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one that names %q", err, tc.want)
			}
		})
	}
	if _, _, err := Load("/nowhere/config.yaml", "T_", defaultTestConfig, nil); err == nil || !strings.Contains(err.Error(), "/nowhere/config.yaml") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestLoadWarnsOfUnknownVariables(t *testing.T) {
	_, warnings, err := Load("", "T_", defaultTestConfig, []string{"T_REDIS_ADDRESS=x", "T_ADDR=y"})
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], "T_REDIS_ADDRESS") || !strings.Contains(warnings[1], "is it T_REDIS_ADDR?") {
		t.Errorf("warnings %q", warnings)
	}
}
