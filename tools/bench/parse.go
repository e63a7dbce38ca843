package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

const (
	parsePackage = "multi_process_server/pkg/jt1078"
	// parseRounds for one round of the others: they are so short that more of them are the better way to spend time.
	parseRounds = 15
)

// parseBenchmarks of parsePackage, in the table's order, each with its limit.
var parseBenchmarks = []struct{ name, what, limit string }{
	{"Limit", "walk over the headers, each body copied once", ""},
	{"Reader", "Reader (reads, finds and checks packets)", "Limit"},
	{"LimitRead", "the same walk, over what is read in blocks", ""},
	{"ReaderAssembler", "Reader and Assembler (packets to frames)", "LimitRead"},
}

// parse runs the benchmarks of pkg/jt1078, one after another in many short rounds. It goes by the CPU that each used,
// not by the clock, so that others on the machine matter less.
func (b *bench) parse(ctx context.Context) error {
	binary := filepath.Join(b.logs, "jt1078.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, parsePackage).CombinedOutput(); err != nil {
		return fmt.Errorf("go test -c: %w\n%s", err, out)
	}
	rounds := parseRounds * b.rounds
	b.say("parse, %d rounds", rounds)
	times, allocations := map[string][]float64{}, map[string]int{}
	for range rounds {
		// What the process uses beside the benchmark: its own start and the benchmark's first single packet.
		start, _, err := runBenchmark(ctx, binary, "Limit", 1)
		if err != nil {
			return err
		}
		for _, p := range parseBenchmarks {
			used, n, err := runBenchmark(ctx, binary, p.name, b.packets)
			if err != nil {
				return err
			}
			times[p.name] = append(times[p.name], float64((used-start).Nanoseconds())/float64(b.packets))
			allocations[p.name] = max(allocations[p.name], n)
		}
	}
	t := table{
		title:  fmt.Sprintf("Parsing, packets of 950 bytes (CPU time, %d rounds of %d packets)", rounds, b.packets),
		header: []string{"what", "a packet:", "ratio (≤ 1.5):", "allocations a packet:"},
	}
	for _, p := range parseBenchmarks {
		compared := ""
		if p.limit != "" {
			compared = ratio(times[p.name], times[p.limit])
		}
		t.add(p.what, fmt.Sprintf("%.1f ns", median(times[p.name])), compared, strconv.Itoa(allocations[p.name]))
	}
	t.note("Each is compared with the walk that copies as often: a read is a copy.")
	t.print(b.out)
	return nil
}

// runBenchmark runs one benchmark in a process of its own, and returns the CPU that it used and its allocations for
// each packet.
func runBenchmark(ctx context.Context, binary, name string, packets int) (used time.Duration, allocations int, err error) {
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", "^Benchmark"+name+"$",
		"-test.benchtime", strconv.Itoa(packets)+"x", "-test.benchmem", "-test.cpu", "1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("Benchmark%s of %s: %w\n%s", name, parsePackage, err, out)
	}
	found := allocationsPattern.FindSubmatch(out)
	if found == nil {
		return 0, 0, fmt.Errorf("%s has no Benchmark%s any more:\n%s", parsePackage, name, out)
	}
	allocations, err = strconv.Atoi(string(found[1]))
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), allocations, err
}

// allocationsPattern in a line such as: BenchmarkReader   4000000   48.3 ns/op   20289.86 MB/s   0 B/op   0 allocs/op
var allocationsPattern = regexp.MustCompile(`(\d+) allocs/op`)
