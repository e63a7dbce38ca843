package main

import (
	"os"
	"strings"
	"syscall"
)

// endWithGoRun makes the kernel end us with "go run", which does not pass a SIGTERM on: ports would stay taken.
func endWithGoRun() {
	if path, err := os.Executable(); err == nil && strings.Contains(path, "go-build") {
		// Where it fails, nobody is told of the parent's end, as on other systems.
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0)
	}
}
