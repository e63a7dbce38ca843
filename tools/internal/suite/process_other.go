//go:build !linux

package suite

import (
	"os"
	"os/exec"
	"runtime"
)

func dieWithParent(*exec.Cmd) {}

// interrupt asks for an orderly end where the system knows of such a thing.
func interrupt(p *os.Process) error {
	if runtime.GOOS == "windows" {
		return p.Kill()
	}
	return p.Signal(os.Interrupt)
}
