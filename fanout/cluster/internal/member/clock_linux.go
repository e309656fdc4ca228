package member

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// systemClock returns a Clock that counts the time in which the system was suspended. If the kernel
// has none, it is Monotonic.
func systemClock() Clock {
	if _, ok := readBoottime(); !ok {
		return Monotonic()
	}
	return newBoottime(time.Now(), readBoottime)
}

// boottime is CLOCK_BOOTTIME of Linux. To read that takes a system call, ten times as long as reading
// Go's clock: that is read instead, and by how much it is behind is found out once in a while.
type boottime struct {
	origin time.Time
	read   func() (now time.Duration, ok bool)
	known  atomic.Int64 // when behind was found out, by Go's clock; it is found out after behind is set
	behind atomic.Int64
}

// boottimeEvery is for how long Go's clock is trusted. While the system is suspended it stands still: it
// can be wrong for that long after.
const boottimeEvery = time.Millisecond

func newBoottime(origin time.Time, read func() (now time.Duration, ok bool)) *boottime {
	c := &boottime{origin: origin, read: read}
	c.known.Store(-int64(boottimeEvery))
	return c
}

func (c *boottime) Now() time.Duration {
	now := time.Since(c.origin)
	if now-time.Duration(c.known.Load()) >= boottimeEvery {
		now = c.compare()
	}
	return now + time.Duration(c.behind.Load())
}

// compare reads both clocks, and returns Go's. If the process is stopped between the two, behind could become too small,
// never too large: then it stays as it is, for now.
func (c *boottime) compare() (now time.Duration) {
	boot, _ := c.read()
	now = time.Since(c.origin)
	for {
		behind := c.behind.Load()
		if int64(boot-now) <= behind || c.behind.CompareAndSwap(behind, int64(boot-now)) {
			break
		}
	}
	c.known.Store(int64(now))
	return now
}

func readBoottime() (now time.Duration, ok bool) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano()), err == nil
}
