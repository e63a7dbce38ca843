package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"multi_process_server/tools/internal/suite"
)

// server is another's server that the test starts, kills and starts again on its port.
type server struct {
	address string
	path    string
	args    []string
	dir     string
	cmd     *exec.Cmd
	done    chan struct{}
}

// newRTMPServer is nginx with its RTMP module: an application "live". It is not started yet.
func newRTMPServer(t *testing.T) *server {
	t.Helper()
	const module = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
	s := newServer(t, "nginx", "nginx")
	if _, err := os.Stat(module); err != nil {
		missing(t, module, "libnginx-mod-rtmp")
	}
	config := fmt.Sprintf(`load_module %s;
daemon off;
master_process off;
pid %s/nginx.pid;
error_log %s/error.log;
events {}
rtmp { server { listen %s; application live { live on; } } }
`, module, s.dir, s.dir, s.address)
	file := filepath.Join(s.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	s.args = []string{"-p", s.dir, "-c", file, "-e", filepath.Join(s.dir, "error.log")}
	return s
}

// newRedis is a Redis that keeps nothing. It is not started yet.
func newRedis(t *testing.T) *server {
	t.Helper()
	s := newServer(t, "redis-server", "redis-server")
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.args = []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir}
	return s
}

func newServer(t *testing.T, tool, debianPackage string) *server {
	t.Helper()
	path := need(t, tool, debianPackage)
	ports, err := suite.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: suite.Loopback(ports[0]), path: path, dir: t.TempDir()}
	t.Cleanup(s.kill)
	return s
}

// start runs the server and waits until it listens.
func (s *server) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd, s.done = exec.Command(s.path, s.args...), make(chan struct{})
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		s.cmd.Wait()
	}()
	eventually(t, s.path+" listens", func() bool {
		select {
		case <-s.done:
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("%s has ended:\n%s", s.path, text)
		default:
		}
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// kill ends the server at once.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		<-s.done
	}
}
