//go:build linux

package loopback

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/bench/client"
)

// idleWarmup is how many connections are opened before those whose memory is measured.
const idleWarmup = 64

// idle measures the memory of idle connections that have received a message, so that everything they
// allocate is included. Another client connects first, so that one-time allocations aren't.
func (t *task) idle(ctx context.Context) (Result, error) {
	first, err := t.settle(ctx, idleWarmup)
	if err != nil {
		return Result{}, err
	}
	bytes, goroutines := occupied()
	second, err := t.settle(ctx, t.Case.Conns)
	if err != nil {
		return Result{}, err
	}
	bytesNow, goroutinesNow := occupied()
	runtime.KeepAlive(first)
	runtime.KeepAlive(second)
	conns := float64(t.Case.Conns)
	timers, err := t.timers(ctx)
	if err != nil {
		return Result{}, err
	}
	return Result{
		BytesPerConn:      float64(bytesNow-bytes) / conns,
		GoroutinesPerConn: float64(goroutinesNow-goroutines) / conns,
		TimersPerConn:     timers,
	}, nil
}

// timers returns how many time.Timers there are for an idle connection.
func (t *task) timers(ctx context.Context) (float64, error) {
	conns := max(200, t.Case.Shared)
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	c, err := t.settle(ctx, conns)
	runtime.MemProfileRate = rate
	if err != nil {
		return 0, err
	}
	occupied()
	runtime.KeepAlive(c)
	return float64(timersInUse()) / float64(conns), nil
}

// timersInUse returns how many time.Timers are in use of those whose allocation was recorded.
func timersInUse() (n int64) {
	var records []runtime.MemProfileRecord
	for size, ok := 1000, false; !ok; size *= 2 {
		records = make([]runtime.MemProfileRecord, size)
		if size, ok = runtime.MemProfile(records, false); ok {
			records = records[:size]
		}
	}
	for _, r := range records {
		for _, pc := range r.Stack() {
			if f := runtime.FuncForPC(pc); f != nil && (f.Name() == "time.newTimer" || f.Name() == "time.NewTimer" || f.Name() == "time.AfterFunc") {
				n += r.InUseObjects()
				break
			}
		}
	}
	return n
}

// settle opens n connections and lets the server send a message to each.
func (t *task) settle(ctx context.Context, n int) (client.Client, error) {
	meter := client.NewMeter(n, 0, 0, 0)
	c, err := t.open(ctx, meter, n)
	if err != nil {
		return nil, err
	}
	trigger, err := t.trigger(ctx)
	if err != nil {
		return nil, err
	}
	defer trigger.Close()
	c.Start()
	if err := trigger.Pull(); err != nil {
		return nil, err
	}
	select {
	case <-meter.Steps():
	case <-meter.Done():
		_, err = meter.Cost()
	case <-ctx.Done():
		err = ctx.Err()
	}
	return c, err
}

// occupied returns the resident memory, after freeing what can be freed, and the number of goroutines.
func occupied() (bytes int64, goroutines int) {
	time.Sleep(10 * time.Millisecond) // for goroutines to end
	runtime.GC()                      // twice: pools are emptied in two steps
	runtime.GC()
	debug.FreeOSMemory()
	return resident(os.Getpid()), runtime.NumGoroutine()
}

// resident returns the resident memory of a process in bytes. Other files in /proc are inaccurate by
// some hundred kilobytes.
func resident(pid int) int64 {
	rollup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(rollup)) {
		if fields := strings.Fields(line); fields[0] == "Rss:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}
