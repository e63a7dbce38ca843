// Command bench measures the suite beside what it cannot beat: the same work, in the same run, by the least code that
// can do it. What it prints is Markdown; docs/performance.md explains it.
//
//	go run ./tools/bench                                    everything, about ten minutes
//	go run ./tools/bench ingest --streams 200,500           vehicles that nobody watches, beside a TCP sink
//	go run ./tools/bench relay                              a subscriber a stream, beside a TCP relay
//	go run ./tools/bench parse                              packets to frames, beside a walk over the headers
//	go run ./tools/bench latency                            from SRS's callback to the first picture in SRS
//
// Machines are noisy, so each measurement alternates with its limit in rounds, and what counts is the ratio of the two
// medians. Linux only: it reads /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"multi_process_server/tools/internal/suite"
)

// bench is a run of the command.
type bench struct {
	streams streamsFlag
	watched int // streams of the relay's measurement
	seconds time.Duration
	rounds  int
	tries   int
	profile string

	settle  time.Duration // how long everything runs before it is measured: more than a group of pictures
	packets int           // of a benchmark of parse in one round

	self     string // this executable
	binaries string // folder of the services
	logs     string // folder of the processes' logs
	out      io.Writer
	progress io.Writer
}

// part is one of the measurements.
type part struct {
	name     string
	services bool // needs the services' binaries
	run      func(*bench, context.Context) error
}

var parts = []part{
	{"parse", false, (*bench).parse},
	{"ingest", true, (*bench).ingest},
	{"relay", true, (*bench).relay},
	{"latency", true, (*bench).latency},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := interrupted()
	defer stop()
	if os.Getenv(helperVariable) != "" {
		return helper(ctx)
	}
	return newBench(os.Stdout, os.Stderr).command(ctx, os.Args[1:])
}

// interrupted is done when the process shall end.
func interrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

func newBench(out, progress io.Writer) *bench {
	return &bench{streams: streamsFlag{200, 500}, settle: 5 * time.Second, packets: 1_000_000, out: out, progress: progress}
}

// command is what the user has started.
func (b *bench) command(ctx context.Context, args []string) error {
	chosen, err := b.parseArguments(args)
	if err != nil {
		return err
	}
	if err := b.prepare(ctx, chosen); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "%d cores, %s, %s, loopback; load of the machine before: %s\n",
		runtime.NumCPU(), runtime.Version(), runtime.GOOS, loadAverage())
	for _, p := range chosen {
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w (logs are in %s)", p.name, err, b.logs)
		}
	}
	return os.RemoveAll(b.logs)
}

// parseArguments takes the measurement's name, if there is one, and the flags behind it.
func (b *bench) parseArguments(args []string) ([]part, error) {
	name := "all"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	chosen := parts
	if name != "all" {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is no measurement: want parse, ingest, relay, latency or all", name)
		}
		chosen = parts[i : i+1]
	}
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	f.Var(&b.streams, "streams", "`numbers` of vehicles of ingest")
	f.IntVar(&b.watched, "watched", 200, "streams of relay, each with one subscriber")
	seconds := f.Int("seconds", 20, "of each measurement")
	f.IntVar(&b.rounds, "rounds", 3, "in which a measurement and its limit alternate")
	f.IntVar(&b.tries, "tries", 20, "of each latency")
	f.StringVar(&b.profile, "profile", "", "`folder` for jt1078_server's CPU profiles of ingest and relay; taking them costs CPU that is counted")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	b.seconds = time.Duration(*seconds) * time.Second
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q; see --help", f.Arg(0))
	case *seconds < 1 || b.rounds < 1 || b.tries < 1 || b.watched < 1:
		return nil, errors.New("--seconds, --rounds, --tries and --watched: want 1 or more")
	}
	return chosen, nil
}

// prepare builds what the measurements start.
func (b *bench) prepare(ctx context.Context, chosen []part) error {
	if _, err := machineCPU(); err != nil {
		return fmt.Errorf("this needs Linux's /proc: %w", err)
	}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.logs, err = os.MkdirTemp("", "multi_process_server-bench-"); err != nil {
		return err
	}
	if b.profile != "" {
		if err := os.MkdirAll(b.profile, 0o755); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(chosen, func(p part) bool { return p.services }) {
		return nil
	}
	b.binaries = filepath.Join(b.logs, "bin")
	return suite.Build(ctx, b.binaries, false, func(line string) { b.say("%s", line) })
}

// say tells of progress.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// streamsFlag is a list of numbers with commas.
type streamsFlag []int

func (f *streamsFlag) String() string {
	var texts []string
	for _, n := range *f {
		texts = append(texts, strconv.Itoa(n))
	}
	return strings.Join(texts, ",")
}

func (f *streamsFlag) Set(text string) error {
	*f = nil
	for number := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return fmt.Errorf("%q: want numbers from 1, such as 200,500", text)
		}
		*f = append(*f, n)
	}
	return nil
}
