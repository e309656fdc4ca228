// Package guard notices when the path of a message becomes longer. It measures no time, which
// a busy machine changes, but what doesn't vary: instructions, allocations, and calls of the
// network, beside figures that are part of the repository.
//
//	go test ./guard
//	go test ./guard -update
//
// Instructions are counted by Valgrind's callgrind, as of a processor with AVX2.
package guard
