// Package process measures and limits the resources of this process (CPU time, memory, open
// files), and starts further processes of this program.
package process

import (
	"runtime"
	"sync/atomic"
	"time"
)

// reservedFiles are kept for what is not a connection: the standard streams, pipes to child processes, the
// resolver, event loops, and the second file that each of at most 128 connections has for a moment when
// its transport takes it over.
var reservedFiles = 32 + 128 + 4*runtime.GOMAXPROCS(0)

// FitConnections raises the limit of open files as far as it is necessary and allowed, and
// returns how many of n connections fit.
func FitConnections(n int) int {
	raiseOpenFiles(n + reservedFiles)
	limit, known := OpenFiles()
	if !known {
		return n
	}
	return max(min(n, limit-reservedFiles), 1)
}

// CPUTime returns the CPU time that the process has used, without that of what has run in Aside.
func CPUTime() time.Duration { return usedCPUTime() - time.Duration(aside.Load()) }

// aside is the CPU time, in nanoseconds, of what has run in Aside.
var aside atomic.Int64

// Aside runs f, which watches what the process does and is no part of it: CPUTime doesn't count it, on
// Linux. What other goroutines do for f is counted.
func Aside(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := threadCPUTime()
	f()
	aside.Add(int64(threadCPUTime() - begin))
}
