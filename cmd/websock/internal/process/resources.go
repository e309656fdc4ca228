// Package process measures and limits the resources of this process (CPU time, memory, open
// files), and starts further processes of this program.
package process

// reservedFiles are kept for what is not a connection: the standard streams, the poller, pipes
// to child processes and the resolver.
const reservedFiles = 32

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
