package socket

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func openPlaceholder() (fd int, err error) { return OpenUnbound() }

// dupTo makes fd a duplicate of from.
func dupTo(from, fd int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for {
		err := unix.Dup2(from, fd)
		if err == unix.EINTR {
			continue
		}
		if err == nil {
			unix.CloseOnExec(fd)
		}
		return os.NewSyscallError("dup2", err)
	}
}
