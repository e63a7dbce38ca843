package signalling

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// TestIdleVehicles measures what idle vehicles cost. It is asked for with IDLE_VEHICLES=5000. The vehicles live in a
// process of their own (this test binary again), so that heap, stacks and descriptors here are the gateway's.
func TestIdleVehicles(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("IDLE_VEHICLES"))
	if err != nil {
		t.Skip("IDLE_VEHICLES is not set to a number of vehicles")
	}
	g := &Gateway{Config: DefaultGatewayConfig(), Log: zerolog.Nop(), Metrics: prometheus.NewRegistry()}
	g.Config.Address = "127.0.0.1:0"
	if err := g.Initialize(); err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	before := measure()

	vehicles := exec.Command(os.Args[0], "-test.run=^TestIdleVehiclesProcess$")
	vehicles.Env = append(os.Environ(), "IDLE_VEHICLES_DIAL="+g.Addr().String())
	vehicles.Stderr = os.Stderr
	stop, err := vehicles.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := vehicles.Start(); err != nil {
		t.Fatal(err)
	}
	defer vehicles.Wait()
	defer stop.Close()

	for end := time.Now().Add(2 * time.Minute); len(g.Vehicles()) < count; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d vehicles are online", len(g.Vehicles()), count)
		}
	}
	after := measure()
	cpu := cpuTime()
	time.Sleep(10 * time.Second) // of which each vehicle uses one location report
	t.Logf("%d vehicles: %d B a vehicle (heap %d, stacks %d; resident %d); a report each in 10 s takes %.1f %% of a core",
		count, (after.heap+after.stacks-before.heap-before.stacks)/count, (after.heap-before.heap)/count,
		(after.stacks-before.stacks)/count, (after.resident-before.resident)/count, float64(cpuTime()-cpu)/float64(10*time.Second)*100)
}

type memory struct{ heap, stacks, resident int }

func measure() memory {
	runtime.GC()
	runtime.GC() // the second one frees what the first one shrank
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	resident := 0
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size int
		fmt.Sscan(string(b), &size, &resident)
	}
	return memory{int(m.HeapAlloc), int(m.StackInuse), resident * os.Getpagesize()}
}

// cpuTime is what this process has used (proc(5), fields 14 and 15 of stat, in hundredths of a second).
func cpuTime() time.Duration {
	b, _ := os.ReadFile("/proc/self/stat")
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestIdleVehiclesProcess is the vehicles' side of TestIdleVehicles.
func TestIdleVehiclesProcess(t *testing.T) {
	address := os.Getenv("IDLE_VEHICLES_DIAL")
	if address == "" {
		t.Skip("it is started by TestIdleVehicles")
	}
	count, _ := strconv.Atoi(os.Getenv("IDLE_VEHICLES"))
	vehicles := make([]testVehicle, count)
	for i := range vehicles {
		// More than one loopback address, as one has too few ports for many.
		local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%8))}
		conn, err := (&net.Dialer{LocalAddr: local}).Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		vehicles[i] = testVehicle{t: t, conn: conn, sim: fmt.Sprintf("0139%08d", i)}
		vehicles[i].expectReply(vehicles[i].send(0x0102, []byte("code")), 0x0102, 0)
	}
	stopped := make(chan struct{})
	go func() {
		os.Stdin.Read(make([]byte, 1))
		close(stopped)
	}()
	location := make([]byte, 60)
	tick := time.NewTicker(10 * time.Second / time.Duration(count))
	defer tick.Stop()
	for i := 0; ; i = (i + 1) % count {
		select {
		case <-stopped:
			return
		case <-tick.C:
			vehicles[i].expectReply(vehicles[i].send(0x0200, location), 0x0200, 0)
		}
	}
}
