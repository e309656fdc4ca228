//go:build !linux

package process

import "runtime"

// MemoryKind names what Memory returns.
const MemoryKind = "Go runtime"

// Memory returns the bytes that the Go runtime has obtained from the system.
func Memory() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.Sys - stats.HeapReleased)
}
