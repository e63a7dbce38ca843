package suite

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary plays a service when it is told to.
func TestMain(m *testing.M) {
	if behaviour := os.Getenv("SUITE_TEST_SERVICE"); behaviour != "" {
		os.Exit(pretend(behaviour))
	}
	os.Exit(m.Run())
}

func pretend(behaviour string) int {
	fmt.Println("I am", behaviour)
	if behaviour == "failing" {
		fmt.Println("because the disk is full")
		return 3
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	began := time.Now()
	http.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(began) < 100*time.Millisecond {
			http.Error(w, "the service is starting", http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") })
	go http.ListenAndServe(os.Getenv("SUITE_TEST_ADMIN"), nil)
	<-signals
	if behaviour == "loser" {
		return 1
	}
	return 0
}

func newService(t *testing.T, behaviour string) *Service {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	admin := Loopback(ports[0])
	return &Service{
		Name: behaviour, Path: path, Admin: admin, Log: filepath.Join(t.TempDir(), "service.log"),
		Env: []string{"SUITE_TEST_SERVICE=" + behaviour, "SUITE_TEST_ADMIN=" + admin},
	}
}

func TestServiceStartsAndStops(t *testing.T) {
	s := newService(t, "good")
	for range 2 { // and again
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if metrics, err := s.Metrics(t.Context()); err != nil || metrics != "up 1\n" {
			t.Errorf("%q %v", metrics, err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		<-s.Ended()
	}
	if tail := s.Tail(); strings.Count(tail, "I am good") != 2 {
		t.Error(tail)
	}
}

func TestServiceThatFails(t *testing.T) {
	s := newService(t, "failing")
	err := s.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "because the disk is full") {
		t.Errorf("got %v", err)
	}
	s = newService(t, "loser")
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err == nil {
		t.Error("exit code 1 is no error")
	}
}

func TestServiceThatIsNotThere(t *testing.T) {
	s := newService(t, "good")
	s.Path += ".not"
	if err := s.Start(t.Context()); err == nil {
		t.Error("no error")
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func TestServiceThatIsNeverReady(t *testing.T) {
	s := newService(t, "good")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Start(ctx); err == nil {
		t.Error("no error")
	}
	<-s.Ended()
}

func TestAddresses(t *testing.T) {
	a, err := FreeAddresses()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range a.Endpoints() {
		if *e.Address == "" || seen[*e.Address] {
			t.Errorf("%s is %q", e.Variable, *e.Address)
		}
		seen[*e.Address] = true
	}
	if err := a.CheckFree(); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", a.RTSP)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := a.CheckFree(); err == nil || !strings.Contains(err.Error(), "(RTSP)") || !strings.Contains(err.Error(), "PC_RTSP_ADDRESS=") {
		t.Errorf("got %v", err)
	}

	d := DefaultAddresses(func(name string) string {
		if name == "WEB_HTTP_ADDRESS" {
			return "127.0.0.1:8000"
		}
		return ""
	})
	if d.HTTP != "127.0.0.1:8000" || d.RTSP != ":9521" {
		t.Errorf("%+v", d)
	}
}
