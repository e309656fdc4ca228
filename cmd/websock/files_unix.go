//go:build unix

package main

import "syscall"

// openFiles returns how many files the process may have open, and false if that
// isn't known. The Go runtime has raised the limit as far as it goes.
func openFiles() (int, bool) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	return int(min(uint64(limit.Cur), 1<<30)), true //nolint:unconvert // it is signed on FreeBSD
}

// raiseOpenFiles raises the limit to n if it is lower and the system lets us, which takes a
// privilege: the hard limit is in the way. Processes that we start inherit it.
func raiseOpenFiles(n int) {
	var limit syscall.Rlimit
	allowed, known := openFiles()
	if !known || allowed >= n || syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	raise(&limit.Cur, n)
	raise(&limit.Max, n)
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // how far it went, openFiles tells
}

// raise serves systems on which limits are signed, and those on which they aren't.
func raise[N int64 | uint64](limit *N, n int) { *limit = max(*limit, N(n)) }
