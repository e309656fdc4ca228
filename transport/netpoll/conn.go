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

// A Conn is a transport.Conn whose descriptor is watched by one of netpoll's pollers. It is also a
// transport.Pusher and a transport.Queue.
//
// It has a lock for receiving and one for sending. A goroutine never holds both.
type Conn struct {
	poll   netpoll.Poll
	fd     int
	fdRefs atomic.Int32 // users of fd; the last one closes it
	in     input
	out    output
	addrs  addresses
	next   *Conn // the one behind it in the workerPool, under the lock of that
}

// attach has the poller watch a duplicate of conn's descriptor and closes conn.
func (r *reservation) attach(conn net.Conn, early []byte) (*Conn, error) {
	fd, err := r.spare.Take(conn.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	socket.DisableLinger(conn)
	t := &Conn{poll: r.poll, fd: fd, addrs: addressesOf(conn)}
	t.fdRefs.Store(1) // until Close
	t.in.view = early
	t.out.fd = fd
	t.in.mu.Lock()
	t.registerLocked()
	err = t.in.readErr
	t.in.mu.Unlock()
	if err != nil {
		t.releaseFd()
		return nil, err
	}
	conn.Close()
	return t, nil
}

// releaseFd ends a use of the descriptor, and closes it after the last one.
func (t *Conn) releaseFd() {
	switch {
	case t.fdRefs.Add(-1) > 0:
	case t.out.file != nil:
		t.out.file.Close()
	default:
		unix.Close(t.fd)
	}
}

// TLS returns nil. Package transport/tls knows the state of the TLS that it puts over a Conn.
func (t *Conn) TLS() *tls.ConnectionState { return nil }

// LocalAddr returns the connection's local address, also after Close.
func (t *Conn) LocalAddr() net.Addr {
	if t.addrs.other != nil {
		return t.addrs.other[0]
	}
	return t.addrs.local.Addr()
}

// RemoteAddr returns the connection's remote address, also after Close.
func (t *Conn) RemoteAddr() net.Addr {
	if t.addrs.other != nil {
		return t.addrs.other[1]
	}
	return t.addrs.remote.Addr()
}

// addresses are those of a connection, in less memory than two net.Addr take.
type addresses struct {
	local, remote socket.Addr
	other         *[2]net.Addr // local and remote, if a socket.Addr can't hold them; else nil
}

func addressesOf(conn net.Conn) addresses {
	local, ok := socket.AddrOf(conn.LocalAddr())
	remote, too := socket.AddrOf(conn.RemoteAddr())
	if ok && too {
		return addresses{local: local, remote: remote}
	}
	return addresses{other: &[2]net.Addr{conn.LocalAddr(), conn.RemoteAddr()}}
}

// A lazyCond is a sync.Cond that takes memory only once a goroutine has waited. A connection with
// a Receiver never has one.
type lazyCond struct{ cond *sync.Cond }

// wait is that of sync.Cond. mu is always the same.
func (l *lazyCond) wait(mu *sync.Mutex) {
	if l.cond == nil {
		l.cond = sync.NewCond(mu)
	}
	l.cond.Wait()
}

// broadcast is that of sync.Cond, and called with the lock held.
func (l *lazyCond) broadcast() {
	if l.cond != nil {
		l.cond.Broadcast()
	}
}

var _ interface {
	transport.Conn
	transport.Pusher
	transport.Queue
} = (*Conn)(nil)
