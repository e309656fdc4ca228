package member

import (
	"time"

	"golang.org/x/sys/unix"
)

// systemClock returns a Clock that counts the time in which the system was suspended. If the kernel
// has none, it is Monotonic.
func systemClock() Clock {
	if _, ok := readBoottime(); !ok {
		return Monotonic()
	}
	return boottime{}
}

type boottime struct{}

func (boottime) Now() time.Duration {
	now, _ := readBoottime()
	return now
}

func readBoottime() (now time.Duration, ok bool) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano()), err == nil
}
