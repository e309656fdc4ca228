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
