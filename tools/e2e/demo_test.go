package e2e

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"multi_process_server/tools/internal/suite"
)

// demo is the demonstration as a process, on free ports.
func demo(t *testing.T) (*exec.Cmd, suite.Addresses) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../demo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	addresses, err := suite.FreeAddresses()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = os.Environ()
	for _, e := range addresses.Endpoints() {
		cmd.Env = append(cmd.Env, e.Variable+"="+*e.Address)
	}
	return cmd, addresses
}

// The demonstration prints URLs that play, and ends all that it has started.
func TestDemo(t *testing.T) {
	t.Parallel()
	cmd, addresses := demo(t)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	limit := time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() }) // it builds the services
	defer limit.Stop()

	var said strings.Builder
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Ctrl-C ends") {
			break
		}
	}
	urls := regexp.MustCompile(`(rtsp|http)://\S+/live/06495940943803(\.flv)?`).FindAllString(said.String(), -1)
	if len(urls) != 2 {
		t.Fatalf("the demonstration says\n%s\n%s", said.String(), stderr.String())
	}
	found := ffprobe(t, urls[0], "-rtsp_transport", "tcp")
	found.expect(t, wantH264, wantALaw)
	found = ffprobe(t, urls[1])
	found.expect(t, wantH264, found.aac())

	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s\n%s", err, said.String(), stderr.String())
	}
	if err := addresses.CheckFree(); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

func TestDemoNamesTakenPort(t *testing.T) {
	t.Parallel()
	cmd, addresses := demo(t)
	l, err := net.Listen("tcp", addresses.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := cmd.CombinedOutput()
	if err == nil || bytes.Count(out, []byte("\n")) != 1 || !strings.Contains(string(out), "(HTTP)") || !strings.Contains(string(out), "WEB_HTTP_ADDRESS=") {
		t.Errorf("%v\n%s", err, out)
	}
}
