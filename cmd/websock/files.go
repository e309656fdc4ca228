package main

// spareFiles are left to everything but connections: standard input and output,
// the poller, the server's pipes and the system's resolver.
const spareFiles = 32

// fitFiles returns how many of n connections the limit of open files allows.
func fitFiles(n int) int {
	limit, known := openFiles()
	if !known {
		return n
	}
	return max(min(n, limit-spareFiles), 1)
}
