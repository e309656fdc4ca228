//go:build unix

package std

import (
	"net"
	"syscall"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
)

// rawConn returns access to the descriptor of a socket, or nil.
func rawConn(conn net.Conn) syscall.RawConn {
	switch conn := conn.(type) {
	case *net.TCPConn:
		return rawOf(conn)
	case *net.UnixConn:
		return rawOf(conn)
	}
	return nil
}

func rawOf(conn syscall.Conn) syscall.RawConn {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readRaw makes one attempt to read from a descriptor that doesn't block, and
// reports whether there is a result. A buffer is borrowed only for the attempt.
func (t *Conn) readRaw(fd uintptr) bool {
	t.pull.tried = true
	if t.pull.into != nil {
		return t.readDirect(fd)
	}
	b := buffer.Get(t.nextSize(readSize, fullSize))
	n, err := socket.Read(int(fd), b.B[:cap(b.B)])
	if err == syscall.EAGAIN {
		b.Put()
		return false
	}
	t.stage(b, n, err)
	return true
}

// readDirect is readRaw into memory of the caller's.
func (t *Conn) readDirect(fd uintptr) bool {
	n, err := socket.Read(int(fd), t.pull.into)
	if err == syscall.EAGAIN {
		return false
	}
	t.pull.n, t.err = n, err
	return true
}

// shutdown ends both directions of a socket, which makes calls on it return that wait for the
// peer, and leaves the descriptor open.
func (t *Conn) shutdown() {
	t.raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
}

// writeFd writes what a descriptor takes without blocking.
func writeFd(fd uintptr, p []byte) (int, error) { return socket.Write(int(fd), p) }
