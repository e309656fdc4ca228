package process

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// MemoryKind names what Memory returns.
const MemoryKind = "resident"

// Memory returns the resident bytes of the process, without mapped files: the program's own code
// is paged in as it is used, regardless of the number of connections.
func Memory() int64 {
	file, err := os.Open("/proc/self/statm")
	if err != nil {
		return 0
	}
	defer file.Close()
	var size, resident, mapped int64
	fmt.Fscan(file, &size, &resident, &mapped)
	return (resident - mapped) * int64(os.Getpagesize())
}

// threadCPUTime returns the CPU time that this thread has used.
func threadCPUTime() time.Duration {
	var used unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used) != nil {
		return 0
	}
	return time.Duration(used.Nano())
}
