package suite

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Names of the services' binaries.
const (
	JT1078Server = "jt1078_server"
	PCServer     = "pc_server"
	WebServer    = "web_server"
)

// Names lists them in the order of their start.
var Names = []string{JT1078Server, PCServer, WebServer}

// Build compiles the services into dir. say, if not nil, is told a line before and after each. With race the binaries
// report data races, and exit with code 66 if there was one.
func Build(ctx context.Context, dir string, race bool, say func(string)) error {
	root, err := goTool(ctx, "", "list", "-m", "-f", "{{.Dir}}", "multi_process_server")
	if err != nil {
		return fmt.Errorf("looking for the project (run this inside of it): %w", err)
	}
	for _, name := range Names {
		began := time.Now()
		if say != nil {
			say("building " + name + " …")
		}
		args := []string{"build"}
		if race {
			args = append(args, "-race")
		}
		folder := filepath.Join(strings.TrimSpace(root), "services", name)
		if _, err := goTool(ctx, folder, append(args, "-o", binary(dir, name), ".")...); err != nil {
			return fmt.Errorf("building %s: %w", name, err)
		}
		if took := time.Since(began); say != nil && took > time.Second {
			say(fmt.Sprintf("built %s in %.0f s", name, took.Seconds()))
		}
	}
	return nil
}

func binary(dir, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}

// goTool runs the go command; its error carries what it wrote.
func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
