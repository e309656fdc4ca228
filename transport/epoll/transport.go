//go:build linux

package epoll

import (
	"net"
	"syscall"

	"github.com/seed004e8d11/websock/internal/ring"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// sharedLoops are the loops of Transport.
var sharedLoops = &loopGroup{}

// Transport returns what websock.Config.Transport wants: a Factory that uses the loops of the
// process, one for each CPU that Go uses.
func Transport() Factory { return Factory{sharedLoops} }

// Loops returns a Factory that uses n loops of its own, at least one.
func Loops(n int) Factory { return Factory{&loopGroup{size: max(n, 1)}} }

// Batching returns nil if a loop receives and sends for several connections by one system call, through
// io_uring, when four or more are ready. Otherwise each connection has system calls of its own, and the
// error says why. The first call, or the first connection, finds this out for the rest of the program's
// life, unless descriptors or memory were short. It may be called from any goroutine.
func Batching() error { return ring.Supported() }

// A Factory makes connections of this package. It may be used from any goroutine.
type Factory struct{ loops *loopGroup }

// Attach moves conn's descriptor to a loop, and closes conn itself. early are bytes that were read
// from conn; they are received first, and belong to the Conn.
//
// For a connection that isn't a *net.TCPConn, a *net.UnixConn or from DialTCP it returns
// transport.ErrUnsupported.
func (f Factory) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	if d, ok := conn.(*dialed); ok {
		c, err := d.attach(early)
		if err != nil {
			return nil, err // not an interface that holds a nil *Conn
		}
		return c, nil
	}
	if !socket.HasDescriptor(conn) {
		return nil, transport.ErrUnsupported
	}
	r, err := f.reserve()
	if err != nil {
		return nil, err
	}
	defer r.Release()
	return r.Attach(conn, early)
}

// Reserve reserves what a connection takes beside its own descriptor, as transport.Reserver says: a
// second descriptor, to which the first is moved, and those of a loop, up to four, if none runs.
func (f Factory) Reserve() (transport.Reservation, error) {
	r, err := f.reserve()
	if err != nil {
		return nil, err // not an interface that holds a nil *reservation
	}
	return r, nil
}

// A reservation is a descriptor and a place on a loop.
type reservation struct {
	loop  *loop // nil: used or given back
	spare *socket.Descriptor
}

func (f Factory) reserve() (*reservation, error) {
	l, err := f.loops.acquire()
	if err != nil {
		return nil, err
	}
	r := &reservation{loop: l}
	if r.spare, err = socket.ReserveDescriptor(); err == nil {
		err = checkFd(r.spare.Number())
	}
	if err != nil {
		r.Release()
		return nil, err
	}
	return r, nil
}

// Release gives back what Attach hasn't used.
func (r *reservation) Release() {
	if r.spare != nil {
		r.spare.Release()
	}
	if r.loop != nil {
		r.loop.group.release(r.loop)
		r.loop = nil
	}
}

// Attach is that of Factory.
func (r *reservation) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	if !socket.HasDescriptor(conn) {
		return nil, transport.ErrUnsupported
	}
	c, err := r.attach(conn, early)
	if err != nil {
		return nil, err // not an interface that holds a nil *Conn
	}
	return c, nil
}

func (r *reservation) attach(conn net.Conn, early []byte) (*Conn, error) {
	fd, err := r.spare.Take(conn.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	socket.DisableLinger(conn)
	c := newConn(r.loop, fd, conn, early)
	r.loop = nil
	conn.Close() // the duplicate stays open
	return c, nil
}
