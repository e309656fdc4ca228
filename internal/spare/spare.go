//go:build linux || darwin

package spare

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// A Descriptor is held in reserve.
type Descriptor struct{ fd int }

// Reserve takes a descriptor. The error, if the process has no more, is syscall.EMFILE, and
// syscall.ENFILE if the system hasn't.
func Reserve() (*Descriptor, error) {
	fd, err := placeholder()
	if err != nil {
		return nil, err
	}
	return &Descriptor{fd}, nil
}

// Number returns the number that Take will return.
func (d *Descriptor) Number() int { return d.fd }

// Take makes the descriptor one of conn's socket, which isn't inherited by other programs, and
// gives it to the caller. The Descriptor is used up unless there is an error.
func (d *Descriptor) Take(conn syscall.Conn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(from uintptr) { failed = replace(int(from), d.fd) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return -1, err
	}
	fd, d.fd = d.fd, -1
	return fd, nil
}

// Release gives the descriptor back, unless it was taken.
func (d *Descriptor) Release() {
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}
