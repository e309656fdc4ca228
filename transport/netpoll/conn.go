//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// A Conn is a transport.Conn whose descriptor one of netpoll's pollers watches. It is also a
// transport.Pusher and a transport.Queue.
//
// Its two locks, of the input and the output, are never held together. Under both of them it
// may be closed: Close takes one after the other.
type Conn struct {
	poll      netpoll.Poll
	fd        int
	fdUses    atomic.Int32 // of who must be done with the descriptor before it is closed
	in        input
	out       output
	addresses addresses
	behind    *Conn // that waits for the crew, under its lock
}

// attach has the poller look at a duplicate of conn's descriptor and closes conn.
func (r *reservation) attach(conn net.Conn, early []byte) (*Conn, error) {
	fd, err := r.spare.Take(conn.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	socket.DisableLinger(conn)
	t := &Conn{poll: r.poll, fd: fd, addresses: addressesOf(conn)}
	t.fdUses.Store(1) // until Close
	t.in.view = early
	t.out.fd = fd
	t.in.mu.Lock()
	t.beginWatch()
	err = t.in.end
	t.in.mu.Unlock()
	if err != nil {
		t.releaseFd()
		return nil, err
	}
	conn.Close()
	return t, nil
}

// releaseFd ends a use of the descriptor, and with the last one the descriptor.
func (t *Conn) releaseFd() {
	switch {
	case t.fdUses.Add(-1) > 0:
	case t.out.file != nil:
		t.out.file.Close()
	default:
		unix.Close(t.fd)
	}
}

// TLS returns nil. Package transport/tls knows the state of the TLS that it puts over a Conn.
func (t *Conn) TLS() *tls.ConnectionState { return nil }

var _ interface {
	transport.Conn
	transport.Pusher
	transport.Queue
} = (*Conn)(nil)

// addresses are those of a connection, in less memory than net.Addr takes.
type addresses struct {
	local, remote socket.Addr
	other         *[2]net.Addr // nil: a socket.Addr holds both
}

func addressesOf(conn net.Conn) addresses {
	local, ok := socket.AddrOf(conn.LocalAddr())
	remote, too := socket.AddrOf(conn.RemoteAddr())
	if ok && too {
		return addresses{local: local, remote: remote}
	}
	return addresses{other: &[2]net.Addr{conn.LocalAddr(), conn.RemoteAddr()}}
}

// LocalAddr returns our address, also after Close.
func (t *Conn) LocalAddr() net.Addr {
	if a := &t.addresses; a.other != nil {
		return a.other[0]
	}
	return t.addresses.local.Addr()
}

// RemoteAddr returns the peer's address, also after Close.
func (t *Conn) RemoteAddr() net.Addr {
	if a := &t.addresses; a.other != nil {
		return a.other[1]
	}
	return t.addresses.remote.Addr()
}

// parked are the goroutines that wait for a change of what a mutex guards. A
// connection that works by callback never has one.
type parked struct{ cond *sync.Cond }

// wait unlocks mu until something has changed. It must be asked again what.
func (p *parked) wait(mu *sync.Mutex) {
	if p.cond == nil {
		p.cond = sync.NewCond(mu)
	}
	p.cond.Wait()
}

func (p *parked) wake() {
	if p.cond != nil {
		p.cond.Broadcast()
	}
}
