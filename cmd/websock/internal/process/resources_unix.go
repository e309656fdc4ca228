//go:build unix

package process

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usedCPUTime returns the CPU time that the process has used, in user mode and in the kernel.
func usedCPUTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// OpenFiles returns how many files the process may have open, and false if that isn't known.
// The Go runtime has raised the limit as far as it can without privileges.
func OpenFiles() (int, bool) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	return int(min(uint64(limit.Cur), 1<<30)), true //nolint:unconvert // it is signed on FreeBSD
}

// raiseOpenFiles raises the limit to n if it is lower. That exceeds the hard limit and so takes
// a privilege. Child processes inherit the limit.
func raiseOpenFiles(n int) {
	var limit syscall.Rlimit
	allowed, known := OpenFiles()
	if !known || allowed >= n || syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	raise(&limit.Cur, n)
	raise(&limit.Max, n)
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // OpenFiles reports whether it worked
}

// raise is generic because limits are signed on some systems and unsigned on others.
func raise[N int64 | uint64](limit *N, n int) { *limit = max(*limit, N(n)) }

// Kernel returns the release of the operating system's kernel, and "" if that isn't known.
func Kernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
