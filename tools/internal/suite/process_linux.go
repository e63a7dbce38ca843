package suite

import (
	"os"
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the child when this process is killed. The child is a process group of its own,
// so that a Ctrl-C in the terminal reaches only us, who end the services in order.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func interrupt(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
