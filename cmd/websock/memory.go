package main

import "runtime/debug"

// memoryInUse returns the memory that the process holds when its garbage is gone.
func memoryInUse() int64 {
	debug.FreeOSMemory()
	return residentSize()
}
