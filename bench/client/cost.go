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

// Cost is what messages took: the whole process, from the first of them to the last.
type Cost struct {
	Messages int64
	Time     time.Duration
	CPU      time.Duration // user and system
	Reads    int64         // system calls: read, readv; the kernel counts no recv
	Writes   int64         // write, writev; no send
	Allocs   int64         // on the heap
}

// Measure returns what f took, which does something n times.
func Measure(n int, f func() error) (Cost, error) {
	start := takeSnapshot(0)
	err := f()
	end := takeSnapshot(int64(n))
	return end.since(&start), err
}

// A snapshot has what the process took since it began.
type snapshot struct {
	time time.Time
	Cost
}

func takeSnapshot(messages int64) snapshot {
	reads, writes := calls()
	return snapshot{
		time: time.Now(),
		Cost: Cost{
			Messages: messages,
			CPU:      cpu(),
			Reads:    reads,
			Writes:   writes,
			Allocs:   allocs(),
		},
	}
}

func (s *snapshot) since(start *snapshot) Cost {
	return Cost{
		Messages: s.Messages - start.Messages,
		Time:     s.time.Sub(start.time),
		CPU:      s.CPU - start.CPU,
		Reads:    s.Reads - start.Reads,
		Writes:   s.Writes - start.Writes,
		Allocs:   s.Allocs - start.Allocs,
	}
}

// cpu is as getrusage has it, to the nanosecond.
func cpu() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}

// calls returns the read and write system calls; 0 where the kernel doesn't tell.
func calls() (reads, writes int64) {
	io, _ := os.ReadFile("/proc/self/io")
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
