// Command results measures everything and writes RESULTS.md and its charts. What is measured
// in memory runs as go test -bench in rounds, so that a busy neighbour slows all alike; its
// raw output goes to a file, for benchstat.
package main
