package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"multi_process_server/tools/internal/suite"
)

// tick is the unit of the CPU times in /proc: USER_HZ, which is 100 wherever Go runs on Linux.
const tick = 10 * time.Millisecond

// processCPU is what a process has used: utime and stime of /proc/PID/stat.
func processCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseProcessCPU(string(text))
}

func parseProcessCPU(stat string) (time.Duration, error) {
	const utime, stime = 11, 12 // counted from behind the name, which may hold spaces
	_, rest, _ := cutLast(stat, ") ")
	fields := strings.Fields(rest)
	if len(fields) <= stime {
		return 0, fmt.Errorf("no CPU time in %q", stat)
	}
	return ticks(fields[utime], fields[stime])
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// machineCPU is what all processes have used, and what the machine's host has kept from it.
func machineCPU() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseMachineCPU(string(text))
}

func parseMachineCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(strings.SplitN(stat, "\n", 2)[0])
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("no CPU time in %.60q", stat)
	}
	// cpu user nice system idle iowait irq softirq steal
	return ticks(fields[1], fields[2], fields[3], fields[6], fields[7], fields[8])
}

func ticks(numbers ...string) (time.Duration, error) {
	var sum time.Duration
	for _, number := range numbers {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// residentKB is a process's memory: VmRSS of /proc/PID/status.
func residentKB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	number, _, ok := strings.Cut(strings.TrimSpace(rest), " kB")
	if !ok {
		return 0, fmt.Errorf("no VmRSS of process %d", pid)
	}
	return strconv.ParseFloat(number, 64)
}

// loadAverage of the last 1, 5 and 15 minutes.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// usage is what was used while we watched. CPU is in cores.
type usage struct {
	cpu    []float64 // of the processes, in their order
	others float64   // of everything else on the machine
	maxKB  float64   // the first process's memory at its highest
}

// watch measures processes for some time.
func watch(ctx context.Context, d time.Duration, services ...*suite.Service) (*usage, error) {
	began := time.Now()
	before, machineBefore, err := cpuTimes(services)
	if err != nil {
		return nil, err
	}
	u := &usage{}
	for left := d; left > 0; left = d - time.Since(began) {
		if err := pause(ctx, min(left, time.Second)); err != nil {
			return nil, err
		}
		kb, err := residentKB(services[0].PID())
		if err != nil {
			return nil, err
		}
		u.maxKB = max(u.maxKB, kb)
	}
	after, machineAfter, err := cpuTimes(services)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	others := machineAfter - machineBefore
	for i := range after {
		used := after[i] - before[i]
		others -= used
		u.cpu = append(u.cpu, used.Seconds()/took.Seconds())
	}
	u.others = max(others.Seconds()/took.Seconds(), 0)
	u.cpu = u.cpu[:len(services)]
	return u, nil
}

// cpuTimes are those of the processes, of this one at the end, and of the machine.
func cpuTimes(services []*suite.Service) (processes []time.Duration, machine time.Duration, err error) {
	pids := make([]int, 0, len(services)+1)
	for _, s := range services {
		pids = append(pids, s.PID())
	}
	for _, pid := range append(pids, os.Getpid()) {
		used, err := processCPU(pid)
		if err != nil {
			return nil, 0, err
		}
		processes = append(processes, used)
	}
	machine, err = machineCPU()
	return processes, machine, err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
