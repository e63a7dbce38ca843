package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"multi_process_server/tools/internal/suite"
)

// patient settings have short times, so that the tests need not wait long; everything else is the services' default.
var patient = []string{
	"JT1078_HUB_GRACE=1s",
	"JT1078_HUB_RETRY_AFTER=1s",
	"JT1078_HUB_START_CONNECT=2s",
	"JT1078_HUB_START_KEY_FRAME=3s",
	"WEB_SESSIONS_LEASE=3s",
	"WEB_SESSIONS_LINGER=300ms",
	"WEB_DIRECT_WRITE_TIMEOUT=3s",
	"PC_RTSP_LEASE=2s",
	"PC_RTSP_WRITE_TIMEOUT=3s",
	"GORACE=atexit_sleep_ms=0", // a service with the race detector would take a second to end
}

var (
	binaries string
	// common is the platform of all tests that leave it as it is.
	common struct {
		once  sync.Once
		suite *suite.Suite
		err   error
	}
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "multi_process_server-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries = dir
	if err := suite.Build(context.Background(), binaries, raceDetector, func(line string) { fmt.Println(line) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The tests wait for media most of the time: more of them at a time than there are processors. -parallel decides
	// otherwise.
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set("6"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	code := m.Run()
	if common.suite != nil {
		if err := common.suite.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "the common services did not end well:", err)
			code = 1
		}
	}
	return code
}

func newSuite(logs string, env ...string) (*suite.Suite, error) {
	addresses, err := suite.FreeAddresses()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	s := &suite.Suite{Binaries: binaries, Logs: logs, Addresses: addresses, Env: append(patient[:len(patient):len(patient)], env...)}
	s.Initialize()
	return s, nil
}

// commonPlatform is started by the first test that needs it and ends with the last test.
func commonPlatform(t *testing.T) *platform {
	t.Helper()
	common.once.Do(func() {
		common.suite, common.err = newSuite(filepath.Join(binaries, "logs"))
		if common.err == nil {
			common.err = common.suite.Start(context.Background())
		}
	})
	if common.err != nil {
		t.Fatal(common.err)
	}
	return &platform{Suite: common.suite}
}

// ownPlatform is for tests that restart services or set something.
func ownPlatform(t *testing.T, env ...string) *platform {
	t.Helper()
	s, err := newSuite(t.TempDir(), env...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := &platform{Suite: s}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error("the services did not end well:", err)
		}
		if t.Failed() {
			p.logTails(t)
		}
	})
	return p
}
