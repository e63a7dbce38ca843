package webtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"text/template"
	"time"
)

// RTMPServer is an nginx with its RTMP module: applications live and replay.
type RTMPServer struct {
	Address string

	program string
	folder  string
	process *exec.Cmd
	log     bytes.Buffer
}

const rtmpModule = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

var nginxConfig = template.Must(template.New("").Parse(`
load_module {{.Module}};
daemon off;
master_process off;
pid {{.Folder}}/nginx.pid;
error_log stderr info;
events {}
rtmp {
    server {
        listen {{.Address}};
        chunk_size 60000;
        ping 1s;
        ping_timeout 2s;
        application live { live on; idle_streams on; drop_idle_publisher 1s; }
        application replay { live on; idle_streams on; drop_idle_publisher 1s; }
    }
}
`))

// NewRTMPServer listens on a free port until the test ends.
func NewRTMPServer(t testing.TB) *RTMPServer {
	t.Helper()
	s := &RTMPServer{Address: FreeAddress(t), program: Require(t, "nginx", "nginx"), folder: t.TempDir()}
	if _, err := os.Stat(rtmpModule); err != nil {
		Require(t, "ngx_rtmp_module.so", "libnginx-mod-rtmp")
	}
	var text bytes.Buffer
	if err := nginxConfig.Execute(&text, map[string]string{"Module": rtmpModule, "Folder": s.folder, "Address": s.Address}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file(), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	t.Cleanup(s.Stop)
	return s
}

func (s *RTMPServer) file() string { return filepath.Join(s.folder, "nginx.conf") }

// URL of a stream or an application.
func (s *RTMPServer) URL(path string) string { return "rtmp://" + s.Address + "/" + path }

// Start runs it, again after a Stop.
func (s *RTMPServer) Start(t testing.TB) {
	t.Helper()
	s.process = exec.Command(s.program, "-c", s.file(), "-p", s.folder, "-e", "stderr")
	s.process.Stderr = &s.log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "nginx listens", func() bool {
		connection, err := net.DialTimeout("tcp", s.Address, time.Second)
		if err != nil {
			return false
		}
		connection.Close()
		return true
	})
}

// Stop kills it: its clients see their connections end.
func (s *RTMPServer) Stop() {
	if s.process == nil {
		return
	}
	s.process.Process.Kill() //nolint:errcheck // it may have ended by itself
	s.process.Wait()         //nolint:errcheck // it was killed
	s.process = nil
}
