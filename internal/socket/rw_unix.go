//go:build unix

package socket

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The functions whose names begin with Raw don't tell the scheduler about their system calls, as
// syscall.RawSyscall. Telling it costs a tenth of what a small read costs. The others have to be used
//   - with a descriptor that other code may make block, as os.File.Fd does with all duplicates: a
//     garbage collection would wait for the call;
//   - by a goroutine that makes no other system call between waiting and calling a Handler. While
//     all goroutines wait, the runtime's monitor sleeps, and only a call that the scheduler knows
//     wakes it. As long as it sleeps, a Handler that computes isn't preempted.

// Read reads once from a socket that doesn't block. The error is unix.EAGAIN when nothing has
// come yet, io.EOF at the end of the stream.
func Read(fd int, p []byte) (int, error) { return read(fd, p, false) }

// RawRead is Read that doesn't tell the scheduler.
func RawRead(fd int, p []byte) (int, error) { return read(fd, p, true) }

func read(fd int, p []byte, raw bool) (int, error) {
	for {
		n, errno := sysRead(fd, p, raw)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, unix.EAGAIN
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write writes to a socket that doesn't block until all of p is written or the system takes no
// more for now, which is no error.
func Write(fd int, p []byte) (n int, err error) { return write(fd, p, false) }

// RawWrite is Write that doesn't tell the scheduler.
func RawWrite(fd int, p []byte) (n int, err error) { return write(fd, p, true) }

func write(fd int, p []byte, raw bool) (n int, err error) {
	for n < len(p) {
		m, errno := sysWrite(fd, p[n:], raw)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return n, nil
		case errno != 0:
			return n, os.NewSyscallError("write", errno)
		default:
			n += m
		}
	}
	return n, nil
}

// Writev is Write for several slices, by as few system calls as possible. It returns what is not
// written, in the memory of bufs.
func Writev(fd int, bufs [][]byte) (rest [][]byte, err error) { return writev(fd, bufs, false) }

// RawWritev is Writev that doesn't tell the scheduler.
func RawWritev(fd int, bufs [][]byte) (rest [][]byte, err error) { return writev(fd, bufs, true) }

func writev(fd int, bufs [][]byte, raw bool) (rest [][]byte, err error) {
	for bufs = skip(bufs, 0); len(bufs) > 1; {
		n, errno := sysWritev(fd, bufs, raw)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return bufs, nil
		case errno != 0:
			return bufs, os.NewSyscallError("write", errno)
		default:
			bufs = skip(bufs, n)
		}
	}
	if len(bufs) == 0 {
		return nil, nil
	}
	n, err := write(fd, bufs[0], raw)
	return skip(bufs, n), err
}

// skip drops n bytes, and slices without any.
func skip(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}
