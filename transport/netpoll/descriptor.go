//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// duplicate returns a descriptor of its own for the socket of conn, which doesn't
// block (nor does that of conn) and isn't inherited.
func duplicate(conn net.Conn) (int, error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(from uintptr) { fd, failed = duplicateFd(int(from)) })
	return fd, errors.Join(err, failed)
}

func duplicateFd(from int) (int, error) {
	fd, err := unix.FcntlInt(uintptr(from), unix.F_DUPFD_CLOEXEC, 0)
	return fd, os.NewSyscallError("dup", err)
}
