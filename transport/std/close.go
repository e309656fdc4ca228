package std

import (
	stdtls "crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
)

// The state of a Conn is 0 while it is open, plus these.
const (
	closed    = 1 << iota // Close was called
	receiving             // the pump is using the descriptor, and closes it if Close is called
)

// Close closes the connection now, as transport.Conn says. If a Receiver is being called, Close
// shuts the socket down, and the descriptor is closed when the Receiver returns. A tls.Conn is closed
// without an alert. The error is always nil.
func (c *Conn) Close() error {
	switch was := c.state.Or(closed); {
	case was&closed != 0:
		return nil
	case was&receiving != 0:
		c.shutdown() // the net.Conn's Close would wait for the pump
	default:
		closeConn(c.conn)
	}
	c.deadlineMu.Lock()
	c.wakePumpLocked()
	c.deadlineMu.Unlock()
	return nil
}

func (c *Conn) isClosed() bool { return c.state.Load()&closed != 0 }

// beginReceiving makes Close leave the descriptor to the pump. It returns false after Close.
func (c *Conn) beginReceiving() bool { return c.state.CompareAndSwap(0, receiving) }

// endReceiving undoes beginReceiving. It returns true if Close came meanwhile: then the caller must
// close the connection.
func (c *Conn) endReceiving() (mustClose bool) { return c.state.And(^uint32(receiving))&closed != 0 }

// closeWait is how long Close waits for the Close method of a net.Conn that is not a socket. Most
// take less time, so that they are closed when our Close returns.
const closeWait = time.Millisecond

// closeConn closes the connection below any TLS, in a goroutine if its Close may block.
func closeConn(conn net.Conn) {
	conn = belowTLS(conn)
	if _, ok := conn.(Stream); ok || socket.HasDescriptor(conn) {
		conn.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		conn.Close()
		close(done)
	}()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// belowTLS returns the connection that carries the records of conn, or conn if it is no tls.Conn.
func belowTLS(conn net.Conn) net.Conn {
	for {
		secured, ok := conn.(*stdtls.Conn)
		if !ok {
			return conn
		}
		conn = secured.NetConn()
		if wire, ok := conn.(socket.TLSWire); ok && wire.BelowTLS() != nil {
			conn = wire.BelowTLS()
		}
	}
}

// CloseWrite ends the outgoing stream of TCP and Unix sockets and of TLS connections. For others it
// does nothing, and returns nil: see AwaitsAnswer.
func (c *Conn) CloseWrite() error {
	conn, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	if secured, ok := c.conn.(*stdtls.Conn); ok { // it would wait up to five seconds
		defer expireWrites(secured.NetConn())()
	}
	return conn.CloseWrite()
}

// closeNotifyTimeout is how long a tls.Conn waits to write a close_notify.
const closeNotifyTimeout = 50 * time.Millisecond

// expireWrites makes writes to conn time out every closeNotifyTimeout until stop is called: first a
// write in progress, for which the close_notify has to wait, and then the close_notify itself, for
// which a tls.Conn sets another deadline.
func expireWrites(conn net.Conn) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(closeNotifyTimeout)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				conn.SetWriteDeadline(time.Unix(1, 0))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// Linger discards what the peer sends until the stream ends or d has passed, and closes the
// connection. It returns os.ErrDeadlineExceeded if d has passed. Over TLS it first sends a
// close_notify.
func (c *Conn) Linger(d time.Duration) error {
	end := time.Now().Add(d)
	c.deadlineMu.Lock()
	c.lingering.Store(true)
	err := c.conn.SetReadDeadline(end)
	c.deadlineMu.Unlock()
	if c.stream == nil && !socket.HasDescriptor(c.conn) { // deadlines may not work
		err = nil
		timer := time.AfterFunc(d, func() { c.Close() })
		defer timer.Stop()
	}
	if _, ok := c.conn.(*stdtls.Conn); ok {
		c.CloseWrite() // its error does not matter: the connection is about to be closed
	}
	b := buffer.Get(waitSize)
	for err == nil {
		_, err = c.readConn(b.B[:waitSize])
	}
	b.Put()
	c.Close()
	if isTimeout(err) || !errors.Is(err, io.EOF) && !time.Now().Before(end) {
		return os.ErrDeadlineExceeded
	}
	return nil
}
