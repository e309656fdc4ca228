//go:build linux

package client

import (
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Cost is what a process spent from the first message to the last.
type Cost struct {
	Messages int64
	Time     time.Duration
	CPU      time.Duration // user and system
	Reads    int64         // read and readv system calls; the kernel doesn't count recv
	Writes   int64         // write and writev system calls, without send
	Allocs   int64         // on the heap; 0 for another process
}

// Measure returns the cost of f, which does something n times.
func Measure(n int, f func() error) (Cost, error) {
	start := TakeSnapshot(self, 0)
	err := f()
	end := TakeSnapshot(self, int64(n))
	return end.Since(start), err
}

// A Snapshot is the cost of a process since it started.
type Snapshot struct {
	time time.Time
	Cost
}

// self is the process id of this process in its calls.
const self = 0

// TakeSnapshot returns what a process, which has received so many messages, has spent until now. The kernel
// counts the processor time of all its threads, those that have ended too.
func TakeSnapshot(pid int, messages int64) Snapshot {
	s := Snapshot{
		time: time.Now(),
		Cost: Cost{Messages: messages, CPU: cpu(pid)},
	}
	s.Reads, s.Writes = calls(pid)
	if pid == self {
		s.Allocs = allocs()
	}
	return s
}

// Since returns the cost between two snapshots.
func (s Snapshot) Since(start Snapshot) Cost {
	return Cost{
		Messages: s.Messages - start.Messages,
		Time:     s.time.Sub(start.time),
		CPU:      s.CPU - start.CPU,
		Reads:    s.Reads - start.Reads,
		Writes:   s.Writes - start.Writes,
		Allocs:   s.Allocs - start.Allocs,
	}
}

// cpu returns the CPU time of a process, user and system; 0 if that has ended.
func cpu(pid int) time.Duration {
	clock := int32(unix.CLOCK_PROCESS_CPUTIME_ID)
	if pid != self {
		clock = ^int32(pid)<<3 | clock // as clock_getcpuclockid(3) returns
	}
	var t unix.Timespec
	if unix.ClockGettime(clock, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// calls returns the numbers of read and write system calls of a process, or 0 if the kernel doesn't
// count them.
func calls(pid int) (reads, writes int64) {
	name := "self"
	if pid != self {
		name = strconv.Itoa(pid)
	}
	io, _ := os.ReadFile("/proc/" + name + "/io")
	for line := range strings.Lines(string(io)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "syscr":
			reads, _ = strconv.ParseInt(value, 10, 64)
		case "syscw":
			writes, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return reads, writes
}

func allocs() int64 {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:objects"},
		{Name: "/gc/heap/tiny/allocs:objects"},
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
}
