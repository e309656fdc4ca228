// Command results runs all benchmarks and writes RESULTS.md and its charts. Benchmarks in memory run as
// go test -bench, in rounds, so that other load slows all contestants alike. Their raw output is
// written to a file for benchstat.
package main
