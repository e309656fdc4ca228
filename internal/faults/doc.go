// Package faults has a proxy that injects network faults, and a test of how a client reacts to them
// and to hostile servers. Its results are in docs/faults.md:
//
//	go test ./internal/faults -update
package faults
