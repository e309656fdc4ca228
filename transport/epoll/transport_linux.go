package epoll

import (
	stdtls "crypto/tls"
	"net"
	"syscall"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/tls"
	"golang.org/x/sys/unix"
)

// shared are the loops of all transports that don't ask for their own.
var shared = &group{}

// Transport returns what websock.Config wants: a maker of transports on the loops of
// the process, one for each CPU that Go uses.
func Transport() Maker { return Maker{shared} }

// Loops is Transport with n loops of its own, at least one.
func Loops(n int) Maker { return Maker{&group{size: max(n, 1)}} }

// A Maker makes transports of this package. It may be used from any goroutine.
type Maker struct{ loops *group }

// Attach moves conn's descriptor to a loop: conn itself is closed. early are bytes that
// were read from conn; they are received first, and belong to the transport.
//
// A connection without a descriptor, and TLS that wasn't begun by package
// transport/tls, is left to a goroutine: see package transport/std.
func (m Maker) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	if secured, ok := conn.(*stdtls.Conn); ok {
		return m.attachTLS(secured, early)
	}
	if !hasDescriptor(conn) {
		return std.New(conn, early), nil
	}
	c, err := m.attach(conn, early)
	if err != nil {
		return nil, err // and no interface of a nil *Conn
	}
	return c, nil
}

func (m Maker) attachTLS(secured *stdtls.Conn, early []byte) (engine.Transport, error) {
	below, ok := tls.NetConn(secured)
	if !ok || !hasDescriptor(below) {
		return std.New(secured, early), nil
	}
	c, err := m.attach(below, nil)
	if err != nil {
		return nil, err
	}
	return tls.New(secured, c, early)
}

func hasDescriptor(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

func (m Maker) attach(conn net.Conn, early []byte) (*Conn, error) {
	fd, err := duplicate(conn.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	c, err := m.loops.attach(fd, conn)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	conn.Close() // the descriptor lives on
	if len(early) > 0 {
		c.in = &input{view: early}
	}
	return c, nil
}

// duplicate returns a second descriptor of a socket, which doesn't block.
func duplicate(conn syscall.Conn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(original uintptr) {
		fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if controlErr != nil {
		return 0, controlErr
	}
	return fd, err
}
