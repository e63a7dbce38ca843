package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Limits of a service's start and end.
const (
	readyLimit = 30 * time.Second
	stopLimit  = 15 * time.Second
	readyPoll  = 20 * time.Millisecond
	tailBytes  = 4 << 10
)

// Service is one binary as a process. It can be started again after it has ended.
type Service struct {
	Name  string
	Path  string   // of the binary
	Env   []string // NAME=value, beside this process's own
	Admin string   // address of its admin listener
	Log   string   // file that its output is appended to

	mutex   sync.Mutex // guards process
	process *process
}

type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // how; valid once ended
}

// Start runs the service and waits until it is ready. Its error ends with the log's last lines.
func (s *Service) Start(ctx context.Context) error {
	if err := s.Launch(); err != nil {
		return err
	}
	if err := s.WaitReady(ctx); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// Launch runs the service and does not wait.
func (s *Service) Launch() error {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	p := &process{cmd: exec.Command(s.Path), ended: make(chan struct{})} //nolint:noctx // Stop and Kill end it, in that order
	p.cmd.Env = append(os.Environ(), s.Env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	dieWithParent(p.cmd)
	started := make(chan error)
	go func() {
		// Linux ends a child with the thread that started it, so this thread has to last as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", s.Name, err)
	}
	s.mutex.Lock()
	s.process = p
	s.mutex.Unlock()
	return nil
}

func (s *Service) current() *process {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.process
}

// PID is the process's id, 0 when the service was never started.
func (s *Service) PID() int {
	if p := s.current(); p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// Ended is closed when the process has ended, wanted or not. The service must have been launched.
func (s *Service) Ended() <-chan struct{} { return s.current().ended }

// WaitReady waits until /readyz says yes, the process ends, or the time limit is over.
func (s *Service) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	p := s.current()
	for {
		err := s.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended at its start: %w\n%s", s.Name, cmp.Or(p.err, errors.New("exit code 0")), s.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %w\n%s", s.Name, ctx.Err(), err, s.Tail())
		case <-time.After(readyPoll):
		}
	}
}

// Ready asks the admin listener once; the error says what is missing.
func (s *Service) Ready(ctx context.Context) error {
	_, err := s.get(ctx, "/readyz")
	return err
}

// Metrics is the text of /metrics.
func (s *Service) Metrics(ctx context.Context) (string, error) { return s.get(ctx, "/metrics") }

func (s *Service) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// Stop asks the service to end, kills it when it does not, and returns how it ended: nil is exit code 0.
func (s *Service) Stop() error {
	p := s.current()
	if p == nil {
		return nil
	}
	select {
	case <-p.ended:
		return p.err
	default:
	}
	if err := interrupt(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.Kill()
		return fmt.Errorf("stopping %s: %w", s.Name, err)
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(stopLimit):
		s.Kill()
		return fmt.Errorf("%s did not end within %v and was killed\n%s", s.Name, stopLimit, s.Tail())
	}
}

// Kill ends the process at once and waits for its end.
func (s *Service) Kill() {
	p := s.current()
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill() // fails only where it has ended already
	<-p.ended
}

// Tail is the end of the log.
func (s *Service) Tail() string {
	log, err := os.ReadFile(s.Log)
	if err != nil {
		return err.Error()
	}
	if len(log) > tailBytes {
		log = log[len(log)-tailBytes:]
		if _, rest, ok := strings.Cut(string(log), "\n"); ok {
			log = []byte(rest)
		}
	}
	return "the end of " + filepath.Base(s.Log) + ":\n" + strings.TrimSpace(string(log))
}
