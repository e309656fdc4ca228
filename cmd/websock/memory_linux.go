package main

import (
	"fmt"
	"os"
)

const memoryLabel = "memory per idle connection (resident)"

// residentSize returns the bytes of the process that are in memory, without those
// of mapped files: the program's own code comes in piece by piece as it is used,
// however few connections there are.
func residentSize() int64 {
	file, err := os.Open("/proc/self/statm")
	if err != nil {
		return 0
	}
	defer file.Close()
	var size, resident, mapped int64
	fmt.Fscan(file, &size, &resident, &mapped)
	return (resident - mapped) * int64(os.Getpagesize())
}
