//go:build linux

package epoll

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

var _ transport.Dialer = Factory{}

// DialTCP connects to addr, which has no zone, as the zero net.Dialer does. The net.Conn is for one
// opening handshake and for Attach, which moves it to a loop with its descriptor: its calls of Read and
// Write must follow one another, and share a deadline. Errors are *net.OpErrors, but for io.EOF.
func (f Factory) DialTCP(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	d, err := f.loops.dial(ctx, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: err}
	}
	return d, nil
}

// maxDials is how often dial tries, as net.Dialer does, if the system chooses a port that can't be used.
const maxDials = 3

func (g *loopGroup) dial(ctx context.Context, addr netip.AddrPort) (d *dialed, err error) {
	for range maxDials {
		d, err = g.dialOnce(ctx, addr)
		switch {
		case err == nil && d.local == d.remote: // the socket is connected to itself
			d.Close()
			err = os.NewSyscallError("connect", unix.ECONNREFUSED)
		case !errors.Is(err, unix.EADDRNOTAVAIL): // which may be spurious
			return d, err
		}
	}
	return nil, err
}

func (g *loopGroup) dialOnce(ctx context.Context, addr netip.AddrPort) (*dialed, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, err := g.openDialed(addr)
	if err != nil {
		return nil, err
	}
	if err := d.connect(ctx, socket.Sockaddr(addr)); err != nil {
		d.Close()
		return nil, err
	}
	d.local = socket.LocalAddr(d.fd)
	return d, nil
}

// A dialed is a connection before Attach. It waits without the loop, which may be in a Handler that
// dials.
type dialed struct {
	loop          *loop
	wait          *waitPoint
	fd            int
	ref           fdRef
	local, remote socket.Addr
}

// openDialed opens a socket, with all else that the connection will need.
func (g *loopGroup) openDialed(addr netip.AddrPort) (*dialed, error) {
	l, err := g.acquire()
	if err != nil {
		return nil, err
	}
	w, err := g.acquireWaitPoint()
	if err != nil {
		g.release(l)
		return nil, err
	}
	fd, err := socket.OpenTCP(addr)
	if err != nil {
		g.releaseWaitPoint(w)
		g.release(l)
		return nil, err
	}
	d := &dialed{loop: l, wait: w, fd: fd, remote: socket.AddrFrom(addr)}
	if err := checkFd(fd); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// connect connects, and ends when ctx does.
func (d *dialed) connect(ctx context.Context, to unix.Sockaddr) error {
	err := socket.Connect(d.fd, to)
	if err == unix.EAGAIN {
		// Within a machine it is done already, although the first call hasn't waited for it. If other
		// goroutines dial, too, the server is woken once for all of them.
		runtime.Gosched()
		err = socket.Connect(d.fd, to)
	}
	if err != unix.EAGAIN {
		return err
	}
	deadline, _ := ctx.Deadline()
	d.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { d.SetDeadline(expired) })
	err = d.wait.until(d.fd, unix.EPOLLOUT, func() error { return socket.Connect(d.fd, to) })
	if !stop() {
		return ctx.Err()
	}
	d.SetDeadline(time.Time{})
	return err
}

// Read reads what has arrived, or waits for it.
func (d *dialed) Read(p []byte) (n int, err error) {
	if !d.ref.acquire() {
		return 0, d.opError("read", net.ErrClosed)
	}
	defer d.release()
	// If other goroutines dial, too, the peer has often answered when they have had their turn. Then
	// epoll isn't needed.
	runtime.Gosched()
	err = d.wait.until(d.fd, unix.EPOLLIN, func() (err error) {
		n, err = socket.RawRead(d.fd, p)
		return err
	})
	return n, d.opError("read", err)
}

// Write writes all of p.
func (d *dialed) Write(p []byte) (n int, err error) {
	if !d.ref.acquire() {
		return 0, d.opError("write", net.ErrClosed)
	}
	defer d.release()
	err = d.wait.until(d.fd, unix.EPOLLOUT, func() error {
		more, err := socket.RawWrite(d.fd, p[n:])
		if n += more; err == nil && n < len(p) {
			err = unix.EAGAIN
		}
		return err
	})
	return n, d.opError("write", err)
}

// opError returns the error of a call as package net does.
func (d *dialed) opError(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case d.ref.closed(): // Close has ended the call
		err = net.ErrClosed
	case err == io.EOF:
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: d.LocalAddr(), Addr: d.RemoteAddr(), Err: err}
}

// SetDeadline bounds Read and Write, also those under way.
func (d *dialed) SetDeadline(t time.Time) error {
	if !d.ref.acquire() {
		return net.ErrClosed
	}
	defer d.release()
	return d.wait.setDeadline(t)
}

// SetReadDeadline is SetDeadline.
func (d *dialed) SetReadDeadline(t time.Time) error { return d.SetDeadline(t) }

// SetWriteDeadline is SetDeadline.
func (d *dialed) SetWriteDeadline(t time.Time) error { return d.SetDeadline(t) }

func (d *dialed) LocalAddr() net.Addr  { return d.local.Addr() }
func (d *dialed) RemoteAddr() net.Addr { return d.remote.Addr() }

// Close ends the connection, unless it was attached, and calls under way.
func (d *dialed) Close() error {
	first, others := d.ref.close()
	if !first {
		return net.ErrClosed
	}
	if others {
		unix.Shutdown(d.fd, unix.SHUT_RDWR)
		d.wait.setDeadline(expired)
	}
	d.release()
	return nil
}

// release ends a call, and frees everything after the last one.
func (d *dialed) release() {
	if d.ref.release() {
		d.loop.group.releaseWaitPoint(d.wait)
		unix.Close(d.fd)
		d.loop.group.release(d.loop)
	}
}

// attach makes a Conn of the connection.
func (d *dialed) attach(early []byte) (*Conn, error) {
	if first, _ := d.ref.close(); !first {
		return nil, net.ErrClosed
	}
	d.loop.group.releaseWaitPoint(d.wait)
	return newConn(d.loop, d.fd, d, early), nil
}
