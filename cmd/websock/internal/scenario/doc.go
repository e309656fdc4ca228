// Package scenario reads files that say what the connections of a load test do, and keeps track of where
// each of them is in its script. It has no sockets, no clocks and no goroutines: times and messages are
// handed in, and messages to send are handed out. docs/scenarios.md describes the format.
package scenario
