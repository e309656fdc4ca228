//go:build linux || darwin

package socket

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Descriptor is a file descriptor held in reserve, so that a connection that is about to be
// dialled can be moved to it even if the process has no other left by then.
type Descriptor struct{ fd int }

// ReserveDescriptor opens a Descriptor. The error is syscall.EMFILE if the process has no more,
// and syscall.ENFILE if the system hasn't.
func ReserveDescriptor() (*Descriptor, error) {
	fd, err := openPlaceholder()
	if err != nil {
		return nil, err
	}
	return &Descriptor{fd}, nil
}

// Number returns the number that Take will return.
func (d *Descriptor) Number() int { return d.fd }

// Take makes the descriptor a duplicate of conn's, not inherited by other programs, and gives it
// to the caller. Unless there is an error, the Descriptor can't be used again.
func (d *Descriptor) Take(conn syscall.Conn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(from uintptr) { failed = dupTo(int(from), d.fd) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return -1, err
	}
	fd, d.fd = d.fd, -1
	return fd, nil
}

// Release closes the descriptor, unless it was taken.
func (d *Descriptor) Release() {
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
}

// OpenUnbound opens a socket without a name, to which nobody can send.
func OpenUnbound() (fd int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	return fd, os.NewSyscallError("socket", err)
}
