//go:build !linux

package main

import "runtime"

const memoryLabel = "memory per idle connection (Go runtime)"

// residentSize returns the bytes that the Go runtime has from the system.
func residentSize() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.Sys - stats.HeapReleased)
}
