package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// lumberjack's goroutine lives as long as the process; there is one log file in a process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

func testSpec(work func(ctx context.Context, p *Process, cfg *testConfig) error) Spec[testConfig] {
	return Spec[testConfig]{Name: "test_server", EnvPrefix: "T_", Default: defaultTestConfig, Run: work}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

func TestFlags(t *testing.T) {
	nothing := testSpec(func(context.Context, *Process, *testConfig) error { return nil })
	bad := writeFile(t, "nonsense: 1\n")
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"version", []string{"--version"}, exitOK, "test_server "},
		{"help", []string{"--help"}, exitOK, "check-config"},
		{"good configuration", []string{"--check-config"}, exitOK, "configuration ok"},
		{"bad configuration", []string{"--check-config", "--config", bad}, exitUsage, "nonsense"},
		{"bad configuration at start", []string{"--config", bad}, exitUsage, "nonsense"},
		{"unknown flag", []string{"--colour"}, exitUsage, "colour"},
		{"argument", []string{"start"}, exitUsage, `"start"`},
		{"health of nobody", []string{"--health"}, exitFailed, "admin.address is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			if code := run(nothing, tc.args, nil, &out, &out); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if !strings.Contains(out.String(), tc.want) {
				t.Errorf("printed %q, want %q in it", out.String(), tc.want)
			}
		})
	}
}

func TestAdminShowsReadinessAndMetrics(t *testing.T) {
	address := freeAddress(t)
	spec := testSpec(func(ctx context.Context, p *Process, cfg *testConfig) error {
		if code, body := get(t, "http://"+address+"/readyz"); code != 503 || !strings.Contains(body, "starting") {
			t.Errorf("before the first check: %d %q", code, body)
		}
		missing := errors.New("nothing listens on 9511")
		p.Ready("relay", func() error { return missing })
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "test_things_total", Help: "Things."})
		p.Metrics.MustRegister(counter)
		counter.Add(3)
		if code, body := get(t, "http://"+address+"/readyz"); code != 503 || !strings.Contains(body, "relay: nothing listens on 9511") {
			t.Errorf("unmet: %d %q", code, body)
		}
		if err := askReady(address); err == nil || !strings.Contains(err.Error(), "nothing listens") {
			t.Errorf("health: %v", err)
		}
		missing = nil
		if code, body := get(t, "http://"+address+"/readyz"); code != 200 || body != "ready\n" {
			t.Errorf("met: %d %q", code, body)
		}
		if err := askReady(address); err != nil {
			t.Errorf("health: %v", err)
		}
		if code, _ := get(t, "http://"+address+"/healthz"); code != 200 {
			t.Errorf("healthz: %d", code)
		}
		if _, body := get(t, "http://"+address+"/metrics"); !strings.Contains(body, "test_things_total 3") || !strings.Contains(body, "go_goroutines") {
			t.Error("metrics do not show what was counted")
		}
		if code, _ := get(t, "http://"+address+"/debug/pprof/heap"); code != 200 {
			t.Errorf("pprof: %d", code)
		}
		return nil
	})
	var out bytes.Buffer
	if code := run(spec, nil, []string{"T_ADMIN_ADDRESS=" + address}, &out, &out); code != exitOK {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out bytes.Buffer
	spec := testSpec(func(context.Context, *Process, *testConfig) error { t.Error("ran"); return nil })
	if code := run(spec, nil, []string{"T_ADMIN_ADDRESS=" + l.Addr().String()}, &out, &out); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(out.String(), "admin.address: "+l.Addr().String()+" is taken") {
		t.Errorf("printed %q", out.String())
	}
}

func TestErrorOfRunIsTheExitCode(t *testing.T) {
	var out bytes.Buffer
	spec := testSpec(func(context.Context, *Process, *testConfig) error { return errors.New("the bearing is hot") })
	if code := run(spec, nil, nil, &out, &out); code != exitFailed || !strings.Contains(out.String(), "the bearing is hot") {
		t.Errorf("exit code %d, printed %q", code, out.String())
	}
}

func TestSignalDrains(t *testing.T) {
	spec := testSpec(func(ctx context.Context, p *Process, _ *testConfig) error {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
			return errors.New("the signal did not end the context")
		}
	})
	var out bytes.Buffer
	if code := run(spec, nil, nil, &out, &out); code != exitOK || !strings.Contains(out.String(), "stopped") {
		t.Errorf("exit code %d, printed %q", code, out.String())
	}
}

func TestLogsGoToTheFileAtTheLevelOfTheComponent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logs", "test.log")
	spec := testSpec(func(_ context.Context, p *Process, _ *testConfig) error {
		hub, ingest := p.Logger("hub"), p.Logger("ingest")
		hub.Debug().Str("sim", "013912345678").Msg("shown")
		ingest.Debug().Msg("hidden")
		p.Started("RTSP on :9521")
		return nil
	})
	var out bytes.Buffer
	environ := []string{"T_LOG_FILE=" + file, "T_LOG_LEVELS={hub: debug}"}
	if code := run(spec, nil, environ, &out, &out); code != exitOK {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Level, Component, SIM, Message, Time string }
	if err := json.Unmarshal(bytes.SplitN(text, []byte("\n"), 2)[0], &line); err != nil {
		t.Fatal(err)
	}
	if line.Message != "shown" || line.Component != "hub" || line.SIM != "013912345678" || line.Level != "debug" || line.Time == "" {
		t.Errorf("line %+v", line)
	}
	if strings.Contains(string(text), "hidden") {
		t.Error("a line below its component's level was written")
	}
	for _, want := range []string{"shown", "test_server ready: RTSP on :9521"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the console %q lacks %q", out.String(), want)
		}
	}
}

func TestLogFileThatCannotBeWritten(t *testing.T) {
	var out bytes.Buffer
	spec := testSpec(func(context.Context, *Process, *testConfig) error { t.Error("ran"); return nil })
	if code := run(spec, nil, []string{"T_LOG_FILE=/proc/nowhere/x.log"}, &out, &out); code != exitUsage || !strings.Contains(out.String(), "log.file") {
		t.Errorf("exit code %d, printed %q", code, out.String())
	}
}
