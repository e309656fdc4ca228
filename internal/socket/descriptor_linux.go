package socket

import (
	"os"

	"golang.org/x/sys/unix"
)

func openPlaceholder() (fd int, err error) {
	fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	return fd, os.NewSyscallError("eventfd", err)
}

// dupTo makes fd a duplicate of from.
func dupTo(from, fd int) error {
	for {
		err := unix.Dup3(from, fd, unix.O_CLOEXEC)
		if err != unix.EINTR && err != unix.EBUSY { // EBUSY: in a race with an open
			return os.NewSyscallError("dup3", err)
		}
	}
}
