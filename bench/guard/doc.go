// Package guard detects when handling a message becomes more expensive. It doesn't measure time, which
// depends on other load, but instructions, allocations and calls of the network, and compares them with
// figures.json.
//
//	go test ./guard
//	go test ./guard -update
//
// Valgrind's callgrind counts the instructions, for a processor with AVX2.
package guard
