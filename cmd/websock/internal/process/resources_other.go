//go:build !linux

package process

import (
	"runtime"
	"time"
)

// MemoryKind names what Memory returns.
const MemoryKind = "Go runtime"

// Memory returns the bytes that the Go runtime has obtained from the system.
func Memory() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.Sys - stats.HeapReleased)
}

// threadCPUTime returns 0, so that Aside leaves nothing out: Go programs can't tell on macOS, and Windows
// counts in steps that are longer than what runs aside.
func threadCPUTime() time.Duration { return 0 }
