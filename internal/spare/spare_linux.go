package spare

import (
	"os"

	"golang.org/x/sys/unix"
)

func placeholder() (int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	return fd, os.NewSyscallError("eventfd", err)
}

// replace makes fd a duplicate of from.
func replace(from, fd int) error {
	for {
		err := unix.Dup3(from, fd, unix.O_CLOEXEC)
		if err != unix.EINTR && err != unix.EBUSY { // busy: in a race with an open
			return os.NewSyscallError("dup3", err)
		}
	}
}
