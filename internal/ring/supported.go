//go:build linux

package ring

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

var errTooOld = errors.New("the kernel is older than Linux 5.17")

// Supported returns nil if rings can be used, or an error that says why not. The first call finds it
// out, by requests on sockets of its own, for the rest of the program's life; but an error that says that
// descriptors or memory are short is forgotten, since it may pass.
func Supported() error { return support.find(func() error { return try(open) }) }

var support finding

// A finding is what was found out about rings.
type finding struct {
	mu    sync.Mutex
	known bool
	err   error
}

// find returns what is known, or what look finds out.
func (f *finding) find(look func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known {
		if f.err = look(); f.err != nil {
			f.err = fmt.Errorf("io_uring can't be used: %w", f.err)
		}
		f.known = !isShort(f.err)
	}
	return f.err
}

// isShort reports whether err may pass.
func isShort(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// try tries all that a Ring relies on.
func try(open func(entries int) (*Ring, error)) error {
	if runtime.GOOS == "android" {
		return errors.New("programs that call it may be killed on Android")
	}
	r, err := open(4)
	if err != nil {
		return explain(err)
	}
	defer r.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	// Then the system takes a few kilobytes at once.
	if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return r.try(fds[0], fds[1])
}

// explain says what an error of open means.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("the kernel does not have it: %w", err)
	case errors.Is(err, unix.EPERM):
		if v, _ := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); len(v) > 0 && v[0] != '0' {
			return fmt.Errorf("kernel.io_uring_disabled is %s: %w", bytes.TrimSpace(v), err)
		}
		return fmt.Errorf("it is forbidden, most likely by a seccomp filter: %w", err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("no memory; before Linux 5.12, RLIMIT_MEMLOCK limits it: %w", err)
	}
	return err
}

// try makes each kind of request on a pair of connected sockets, of which a takes little at once.
func (r *Ring) try(a, b int) error {
	var err error
	submit := func() (results []Result) {
		if failed := r.Submit(); failed != nil && err == nil {
			err = explain(failed)
		}
		for res, ok := r.Next(); ok; res, ok = r.Next() {
			results = append(results, res)
		}
		return results
	}
	check := func(what string, got []Result, want ...Result) {
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("%s has the results %v instead of %v", what, got, want)
		}
	}
	p := make([]byte, 64<<10)

	r.Recv(b, p, 1)
	check("a receive of nothing", submit(), Result{Tag: 1, Errno: unix.EAGAIN})
	r.Send(a, []byte("whole"), 2)
	check("a whole send", submit())
	r.Recv(b, p, 3)
	check("a receive", submit(), Result{Tag: 3, N: 5})
	r.Send(a, p, 4)
	short := submit()
	r.Send(a, p, 5)
	check("a send to a socket that is full", submit(), Result{Tag: 5, Errno: unix.EAGAIN})

	// Linux 5.19 and 6.0 say EAGAIN for a short send, and not how much they took.
	taken := 0
	for n := 1; n > 0; taken += max(n, 0) {
		n, _ = unix.Read(b, p)
	}
	check("a short send", short, Result{Tag: 4, N: taken})
	return err
}
