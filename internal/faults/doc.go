// Package faults holds a proxy that does to a stream what networks do, and a test of
// what a client makes of that and of hostile servers. Its results are docs/faults.md:
//
//	go test ./internal/faults -update
package faults
