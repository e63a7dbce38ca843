package signalling

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"multi_process_server/pkg/registry"
)

// redisServer is a real one that a test can stop and start again at the same address.
type redisServer struct {
	t       *testing.T
	address string
	command *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		const missing = "redis-server is missing; install Debian's package redis-server"
		if os.Getenv("CI") != "" || os.Getenv("MPS_REQUIRE_TOOLS") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{t: t, address: l.Addr().String()}
	l.Close()
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *redisServer) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.address)
	s.command = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no",
		"--dir", s.t.TempDir())
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "redis-server answers", func() bool {
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Second))
		conn.Write([]byte("PING\r\n"))
		n, _ := conn.Read(make([]byte, 16))
		return n > 0
	})
}

func (s *redisServer) stop() {
	if s.command != nil {
		s.command.Process.Signal(syscall.SIGKILL)
		s.command.Wait()
		s.command = nil
	}
}

func (s *redisServer) client() *redis.Client {
	client := registry.NewRedis(registry.RedisConfig{Addr: s.address})
	s.t.Cleanup(func() { client.Close() })
	return client
}

// list is what stands in the queue.
func (s *redisServer) list() []string {
	s.t.Helper()
	all, err := s.client().LRange(s.t.Context(), "EXTERNAL_COMMAND", 0, -1).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}
