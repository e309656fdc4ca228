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

// A Conn is a transport.Conn over a net.Conn. It is also a transport.Pusher and a transport.Queue,
// although it never queues anything.
type Conn struct {
	conn   net.Conn
	raw    syscall.RawConn // nil: conn has no descriptor to read from
	stream Stream          // conn, if it is one
	pull   *pullState      // nil: View and Read have not waited yet
	pump   *pump           // nil: Push was not called
	answer *answerWatch    // nil: a server calls CloseWrite before it has the answer

	view    []byte         // bytes read and not consumed
	viewBuf *buffer.Buffer // memory of the view; nil for early bytes
	readErr error          // of the last read
	vec     *net.Buffers   // of the Writev in progress; nil: none had several buffers yet

	deadlineMu   sync.Mutex    // held to change conn's read deadline; protects the next two and waitEnded
	readDeadline time.Time     // set by SetReadDeadline
	wake         chan struct{} // wakes a paused pump; nil: the pump has not waited for it yet

	state     atomic.Uint32 // of closed and receiving
	turn      atomic.Uint32 // a pumpTurn
	pumpID    atomic.Uint32 // goroutine.ID of the pump; 0: none runs
	fd        int32         // the descriptor, while the pump is using it
	lingering atomic.Bool   // only Linger reads from now on
	paused    atomic.Bool   // the pump must not call the Receiver
	limited   atomic.Bool   // conn has a write deadline
	filled    bool          // the last read filled its buffer, so there may be more
	waitEnded bool          // conn's read deadline has passed, but only to make the pump look for something to do
}

// New returns a Conn over conn, which it owns from now on. early are bytes that were already read
// from conn: they are received first, and belong to the Conn. If conn does not support deadlines,
// the Conn enforces them with timers and goroutines.
func New(conn net.Conn, early []byte) *Conn {
	conn = deadline.Wrap(conn)
	socket.DisableLinger(belowTLS(conn))
	stream, _ := conn.(Stream)
	return &Conn{conn: conn, raw: rawConn(conn), stream: stream, answer: newAnswerWatch(conn, early), view: early}
}

// NetConn returns the connection underneath. The caller must not read from it, write to it or close
// it.
func (c *Conn) NetConn() net.Conn { return deadline.Unwrap(c.conn) }

// TLS returns the state of the connection underneath if that is a tls.Conn, or has a method
// ConnectionState like a tls.Conn. Otherwise it returns nil.
func (c *Conn) TLS() *stdtls.ConnectionState {
	conn, ok := c.NetConn().(interface{ ConnectionState() stdtls.ConnectionState })
	if !ok {
		return nil
	}
	state := conn.ConnectionState()
	return &state
}

// LocalAddr returns the local address of the connection underneath.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the remote address of the connection underneath.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

var (
	_ transport.Conn          = (*Conn)(nil)
	_ transport.Pusher        = (*Conn)(nil)
	_ transport.Queue         = (*Conn)(nil)
	_ transport.AnswerAwaiter = (*Conn)(nil)
)
