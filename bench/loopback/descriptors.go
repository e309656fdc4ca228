//go:build linux

package loopback

import (
	"fmt"
	"syscall"
)

// raiseDescriptors raises the limit of open files to what the largest case needs, as far as this process
// may. Unlike the limit that Go raises when a program starts, it is that of child processes, too.
func raiseDescriptors() error {
	const wanted = 32768
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max < wanted { // root may raise it
		raised := syscall.Rlimit{Cur: wanted, Max: wanted}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			return nil
		}
	}
	limit.Cur = min(wanted, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// checkDescriptors returns an error if a process may not open as many files as the case needs.
func (c Case) checkDescriptors() error {
	const beside = 1500 // other connections and files
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if need := uint64(c.Conns + beside); c.Shared == 0 && limit.Cur < need {
		return fmt.Errorf("%d connections need %d open files, of which %d are allowed: see ulimit -n", c.Conns, need, limit.Cur)
	}
	return nil
}
