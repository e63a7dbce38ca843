// Package webtest is what web_server's tests run against: a jt1078_server that plays a clip (a real gRPC server with the
// relay's stock code), a real RTMP server (nginx), ffprobe as the judge.
package webtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Patience is how long a test waits for what must come.
const Patience = 30 * time.Second

// Require finds a program of a Debian package. Without it the test is skipped, or fails where the tools must be there.
func Require(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	message := fmt.Sprintf("%s is not installed (Debian package %s)", program, debianPackage)
	if os.Getenv("CI") != "" || os.Getenv("MPS_REQUIRE_TOOLS") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// Eventually polls until ok, or fails.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", Patience, what)
		}
	}
}

// FreeAddress is a loopback address with a port that was free a moment ago.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
