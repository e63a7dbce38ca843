package main

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/tools/internal/simvehicle"
	"multi_process_server/tools/vehicle/clip"
)

// The test binary plays the helpers.
func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := interrupted()
	err := helper(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func linux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the benchmark reads Linux's /proc")
	}
}

// Everything runs once, much too briefly to mean anything, and every table has its numbers.
func TestEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	linux(t)
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	b := newBench(&out, t.Output())
	b.settle, b.packets = time.Second, 100_000
	args := []string{"all", "--streams", "3", "--watched", "3", "--seconds", "1", "--rounds", "1", "--tries", "2", "--profile", t.TempDir()}
	if err := b.command(t.Context(), args); err != nil {
		logs, _ := filepath.Glob(filepath.Join(b.logs, "*.log"))
		for _, log := range logs {
			text, _ := os.ReadFile(log)
			t.Logf("%s:\n%s", log, text)
		}
		t.Fatal(err)
	}
	for _, row := range []string{
		`\| Reader and Assembler .* ns \| +\*\*.+\*\*.* \| +0 \|`,
		`\| +3 \| jt1078_server +\| .+ % \| +\*\*`,
		`\| +3 \| TCP sink +\| .+ % \|`,
		`\| +3 \| jt1078_server, gRPC +\| .+ % \| +\*\*`,
		`\| the vehicle sends already +\| +[\d.]+ ms \|`,
		`\| the vehicle has to be told .*\| +[\d.]+ ms \|`,
	} {
		if !regexp.MustCompile(row).Match(out.Bytes()) {
			t.Errorf("no row like %s", row)
		}
	}
	profiles, _ := filepath.Glob(filepath.Join(b.profile, "*.pprof"))
	if len(profiles) != 2 {
		t.Errorf("profiles: %q", profiles)
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct{ args, want, says string }{
		{"", "parse ingest relay latency", ""},
		{"all --seconds 5", "parse ingest relay latency", ""},
		{"relay", "relay", ""},
		{"ingest --streams 7,8 --rounds 2", "ingest", ""},
		{"everything", "", "no measurement"},
		{"parse relay", "", "unexpected"},
		{"--rounds 0", "", "--rounds"},
	} {
		b := newBench(nil, nil)
		chosen, err := b.parseArguments(strings.Fields(c.args))
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q: %v, want an error with %q", c.args, err, c.says)
			}
			continue
		}
		var names []string
		for _, p := range chosen {
			names = append(names, p.name)
		}
		if got := strings.Join(names, " "); err != nil || got != c.want {
			t.Errorf("%q: %q, %v, want %q", c.args, got, err, c.want)
		}
		if strings.Contains(c.args, "7,8") && !slices.Equal(b.streams, streamsFlag{7, 8}) {
			t.Errorf("%q: streams %v", c.args, b.streams)
		}
	}
}

// A vehicle's clip has the bit rate that is promised, on the wire. It is played faster, to save time.
func TestContentRate(t *testing.T) {
	const faster = 10
	for channel := range uint8(clip.Cameras) {
		content, err := simvehicle.NewContent(simvehicle.ContentOptions{Video: pad(clip.Camera(channel + 1)), FPS: faster * fps})
		if err != nil {
			t.Fatal(err)
		}
		if rate := wireRate(t, content, 3) / faster; math.Abs(rate/streamBits-1) > 0.01 {
			t.Errorf("camera %d: %.0f bit/s, want %d", channel+1, rate, streamBits)
		}
	}
}

// wireRate lets a vehicle send, and measures from key frame to key frame, over so many groups of pictures.
func wireRate(t *testing.T, content *simvehicle.Content, groups int) float64 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	v := &simvehicle.Vehicle{
		SIM: jt1078.SIM{9: 1}, Media: l.Addr().String(), NoSound: true,
		Content: func(uint8, bool) *simvehicle.Content { return content },
	}
	v.Start()
	defer v.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var (
		reader = jt1078.NewReader(conn, jt1078.ReaderOptions{})
		packet jt1078.Packet
		keys   int
		begin  uint64 // timestamp, ms
		before uint64 // bytes
	)
	for {
		read := reader.Stats().Bytes
		if err := reader.Read(&packet); err != nil {
			t.Fatal(err)
		}
		if packet.DataType != jt1078.DataI || packet.Subpackage != jt1078.SubpackageFirst {
			continue
		}
		if keys == 0 {
			begin, before = packet.Timestamp, read
		}
		if keys == groups {
			return float64(read-before) * 8 / (float64(packet.Timestamp-begin) / 1000)
		}
		keys++
	}
}

// Key frames are spread over a group of pictures, frames over the time of one: no tenth has more than its share and a
// half.
func TestStartsAreSpread(t *testing.T) {
	for _, count := range []int{50, 200, 500} {
		for _, period := range []time.Duration{group, time.Second / fps} {
			var tenths [10]int
			for i := range count {
				tenths[startOf(i, count)%period*10/period]++
			}
			if most := slices.Max(tenths[:]); float64(most) > 1.5*float64(count)/10 {
				t.Errorf("%d vehicles in tenths of %v: %v", count, period, tenths)
			}
		}
	}
}

func TestProc(t *testing.T) {
	linux(t)
	used, err := parseProcessCPU("4711 (a (strange) name) S 1 4711 4711 0 -1 4194560 900 0 0 0 1234 66 0 0 20 0 9 0 100 1 2")
	if err != nil || used != 13*time.Second {
		t.Errorf("process: %v, %v", used, err)
	}
	used, err = parseMachineCPU("cpu  100 20 30 9000 7 5 6 39 0 0\ncpu0 1 2 3\n")
	if err != nil || used != 2*time.Second {
		t.Errorf("machine: %v, %v", used, err)
	}
	for _, bad := range []string{"", "1 (x) S 1", "intr 5"} {
		if _, err := parseProcessCPU(bad); err == nil {
			t.Errorf("process: %q is taken", bad)
		}
		if _, err := parseMachineCPU(bad); err == nil {
			t.Errorf("machine: %q is taken", bad)
		}
	}
	if kb, err := residentKB(os.Getpid()); err != nil || kb < 1000 {
		t.Errorf("this process has %v kB, %v", kb, err)
	}
	if busy, err := machineCPU(); err != nil || busy <= 0 {
		t.Errorf("the machine has used %v, %v", busy, err)
	}
}

func TestTable(t *testing.T) {
	tab := table{title: "Title", header: []string{"what", "time:"}}
	tab.add("ä long name", "1 ms")
	tab.add("b", "")
	tab.note("Only %s.", "once")
	tab.note("Only once.")
	var out bytes.Buffer
	tab.print(&out)
	const want = `
## Title

| what        | time |
|-------------|-----:|
| ä long name | 1 ms |
| b           |      |

Only once.
`
	if out.String() != want {
		t.Errorf("got %s", &out)
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		subject, limit []float64
		want           string
	}{
		{[]float64{3}, []float64{2}, "**1.50**"},
		{[]float64{3, 1, 2}, []float64{1, 2, 1}, "**2.00** (0.50–3.00)"},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99}, []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "**6.00** (3.50–8.50)"},
	} {
		if got := ratio(c.subject, c.limit); got != c.want {
			t.Errorf("%v to %v: %s, want %s", c.subject, c.limit, got, c.want)
		}
	}
	if q := quantile([]float64{4, 1, 3, 2, 5}, 0.9); math.Abs(q-4.6) > 1e-9 {
		t.Errorf("nine of ten are below %v", q)
	}
}
