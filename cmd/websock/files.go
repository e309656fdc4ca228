package main

// spareFiles are left to everything but connections: standard input and output,
// the poller, the server's pipes and the system's resolver.
const spareFiles = 32

// fitFiles returns how many of n connections the limit of open files allows, when it is raised
// as far as it goes.
func fitFiles(n int) int {
	raiseOpenFiles(n + spareFiles)
	limit, known := openFiles()
	if !known {
		return n
	}
	return max(min(n, limit-spareFiles), 1)
}
