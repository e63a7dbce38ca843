//go:build voaac && linux

package audio

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// residentKiB is the process's memory as the kernel sees it: what C holds is in it.
func residentKiB(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Ten thousand encoders hold two thirds of a gigabyte if they are not freed.
func TestVOEncodersAreFreed(t *testing.T) {
	pcm := speech(2 * aacFrame)
	cycle := func(n int) {
		for range n {
			e, err := NewAACEncoder(8000)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Encode(pcm); err != nil {
				t.Fatal(err)
			}
			e.Close()
			if _, err := e.Encode(pcm); err == nil {
				t.Fatal("a closed encoder encodes")
			}
		}
	}
	cycle(100)
	before := residentKiB(t)
	cycle(10000)
	if grown := residentKiB(t) - before; grown > 100<<10 {
		t.Errorf("grown by %d KiB", grown)
	}
}
