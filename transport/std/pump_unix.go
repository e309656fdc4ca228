//go:build unix

package std

import (
	"syscall"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// drain passes on all that can be read, and reports whether that was the end.
func (p *pump) drain(fd uintptr) bool {
	for !p.done {
		b := buffer.Get(readSize)
		n, err := readFd(fd, b.B[:readSize])
		if err == syscall.EAGAIN {
			b.Put()
			return false
		}
		p.pass(b, n, err)
	}
	return true
}
