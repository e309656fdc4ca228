//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"
	"time"

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

// SetWriteDeadline sets the time after which Writev fails, and the connection with
// it if bytes are queued then; the zero time means never. After Close it returns
// net.ErrClosed.
func (t *Conn) SetWriteDeadline(deadline time.Time) error { return t.out.setDeadline(deadline) }

// TLS returns nil. Package transport/tls knows the state of the TLS that it puts over a Conn.
func (t *Conn) TLS() *tls.ConnectionState { return nil }

var _ interface {
	transport.Conn
	transport.Pusher
	transport.Queue
} = (*Conn)(nil)
