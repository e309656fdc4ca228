//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"context"
	"net"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/engine"
)

// A Conn is an engine.Transport over a connection of netpoll. It is also an
// engine.Lingerer, Drainer, Pusher and Pauser, and has CloseWrite.
type Conn struct {
	in        input
	out       output
	addresses addresses // netpoll's own are nil for a descriptor that it didn't dial
}

// attach hands a duplicate of conn's descriptor to netpoll and closes conn.
func attach(conn net.Conn, early []byte) (*Conn, error) {
	fd, err := duplicate(conn)
	if err != nil {
		return nil, err
	}
	carried, err := netpoll.NewFDConnection(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	t := &Conn{addresses: addressesOf(conn)}
	t.in.view = early
	t.out.conn, t.out.fd, t.out.open = carried, fd, true
	conn.Close()
	t.listen(carried)
	return t, nil
}

// listen makes netpoll report what happens from now on, and what has happened
// already: of a hang-up before there was a callback it says nothing, and leaves the
// cleaning up to whoever closes.
func (t *Conn) listen(carried netpoll.Connection) {
	carried.AddCloseCallback(func(netpoll.Connection) error {
		t.hungUp()
		return nil
	})
	carried.SetOnRequest(func(_ context.Context, c netpoll.Connection) error {
		t.arrived(c.Reader())
		return nil
	})
	if !carried.IsActive() {
		carried.Close()
	}
}

// SetWriteDeadline sets the time after which Writev fails, and the connection with
// it if bytes are queued then; the zero time means never. After Close it returns
// net.ErrClosed.
func (t *Conn) SetWriteDeadline(deadline time.Time) error { return t.out.setDeadline(deadline) }

var _ interface {
	engine.Transport
	engine.Drainer
	engine.Lingerer
	engine.Pauser
	engine.Pusher
	CloseWrite() error
} = (*Conn)(nil)
