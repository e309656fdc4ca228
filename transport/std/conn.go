package std

import (
	stdtls "crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/deadline"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

const (
	// readSize is how much is read at once where a buffer is borrowed only for
	// bytes that are there, and fullSize after a read that has filled its buffer.
	readSize = 16 << 10
	fullSize = 64 << 10

	// waitSize is how much is read at once where the buffer is held while
	// waiting, and fullWaitSize after a read that has filled it.
	waitSize     = 4 << 10
	fullWaitSize = 16 << 10
)

// A Conn is a transport.Conn over a net.Conn. It is also a transport.Pusher and a transport.Queue,
// though nothing is ever queued.
type Conn struct {
	conn net.Conn
	raw  syscall.RawConn // nil: conn has no descriptor to read from
	pull *pulling        // of who pulls; nil: nobody has yet
	pump *pump           // of who pushes; nil: nobody

	view    []byte         // bytes read and not consumed
	staging *buffer.Buffer // memory of the view; nil for early bytes
	err     error          // of the last read
	vec     *net.Buffers   // of the write under way; nil: there was none of several buffers

	deadlines sync.Mutex    // held to change the read deadline, and of resumed and pump.recheck
	deadline  time.Time     // set by SetReadDeadline
	resumed   chan struct{} // tells a pump that is paused to look again; nil: none was
	life      atomic.Uint32 // closed, handling
	lingering atomic.Bool   // only Linger reads from now on
	paused    atomic.Bool   // the receiver is to be left alone
	again     atomic.Bool   // there was a pause, or the receiver has yielded: it is to be called
	filled    bool          // the last read has filled the view's memory: there is more
}

// New returns a transport over conn, which it owns from now on. early are bytes
// that were read from conn before; they are received first, and belong to the
// transport. If conn is one on which no deadline can be set, timers do what deadlines would.
func New(conn net.Conn, early []byte) *Conn {
	conn = deadline.Wrap(conn)
	socket.DisableLinger(carrierOf(conn))
	return &Conn{conn: conn, raw: rawConn(conn), view: early}
}

// Transport returns what websock.Config.Transport wants. It is the default there.
func Transport() Factory { return Factory{} }

// A Factory makes connections of this package. It may be used from any goroutine.
type Factory struct{}

// Attach returns New(conn, early), and no error.
func (Factory) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return New(conn, early), nil
}

// NetConn returns the connection underneath. Nothing may be read from or written
// to it.
func (t *Conn) NetConn() net.Conn { return deadline.Unwrap(t.conn) }

// TLS returns the state of the TLS connection underneath if that is one of crypto/tls, or has
// a method ConnectionState as those have. Else it returns nil.
func (t *Conn) TLS() *stdtls.ConnectionState {
	conn, ok := t.NetConn().(interface{ ConnectionState() stdtls.ConnectionState })
	if !ok {
		return nil
	}
	state := conn.ConnectionState()
	return &state
}

// LocalAddr returns the connection's local address.
func (t *Conn) LocalAddr() net.Addr { return t.conn.LocalAddr() }

// RemoteAddr returns the connection's remote address.
func (t *Conn) RemoteAddr() net.Addr { return t.conn.RemoteAddr() }

// SetReadDeadline is that of net.Conn. After Linger it returns net.ErrClosed.
func (t *Conn) SetReadDeadline(deadline time.Time) error {
	t.deadlines.Lock()
	defer t.deadlines.Unlock()
	if t.lingering.Load() || t.isClosed() {
		return net.ErrClosed
	}
	t.deadline = deadline
	t.nudge()
	return t.applyDeadline()
}

// applyDeadline gives conn the earlier of the two times at which a wait ends.
func (t *Conn) applyDeadline() error {
	earlier := t.deadline
	if t.pump != nil && !t.pump.recheck.IsZero() && (earlier.IsZero() || t.pump.recheck.Before(earlier)) {
		earlier = t.pump.recheck
	}
	return t.conn.SetReadDeadline(earlier)
}

// SetWriteDeadline is that of net.Conn.
func (t *Conn) SetWriteDeadline(deadline time.Time) error {
	if t.isClosed() {
		return net.ErrClosed
	}
	return t.conn.SetWriteDeadline(deadline)
}
