package engine

import (
	"net"
	"time"
)

// A Source is where a Conn takes received bytes from. One goroutine at a time
// uses it.
type Source interface {
	// View returns the bytes that can be read, uncopied: they belong to the
	// Source, may be changed in place by the caller (unmasking), and stay valid
	// until Consume has taken the last of them. With none there it parks the
	// caller until some come, the read deadline passes (os.ErrDeadlineExceeded)
	// or the stream ends (io.EOF); a Source driven by events answers
	// ErrWouldBlock instead of parking.
	View() ([]byte, error)

	// Consume drops the first n bytes of the view. With none left, the buffer
	// behind the view is free for other connections.
	Consume(n int)

	// Read reads straight into p, parking as View does. It is called only while
	// the view is empty.
	Read(p []byte) (int, error)
}

// A Sink is where a Conn puts bytes to send. One goroutine at a time uses it.
type Sink interface {
	// Writev takes all the bytes of bufs, in order, or fails for good. It keeps
	// neither bufs nor its elements, and may change the elements of bufs (not
	// the bytes).
	Writev(bufs ...[]byte) error

	// Queued returns how many bytes were taken and have not left yet. It is 0
	// for a Sink whose Writev blocks.
	Queued() int

	// Flush tries to send what is queued.
	Flush() error
}

// A Transport carries a connection's bytes. Source and Sink may be used at the
// same time; deadlines, addresses and Close come from any goroutine.
type Transport interface {
	Source
	Sink
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr

	// Close ends the stream at once and makes parked calls return. It may be
	// called more than once.
	Close() error
}

// A Lingerer is a Transport that can end a stream without cutting off what was
// sent. A Conn whose Transport isn't one closes at once.
type Lingerer interface {
	// Linger waits until the peer ends the stream or d has passed, discarding
	// what still comes, and closes. It may be called while another goroutine
	// is parked in View or Read: those return what came before, and from then
	// on net.ErrClosed. The error says that d passed
	// (os.ErrDeadlineExceeded).
	Linger(d time.Duration) error
}

// A Pusher is a Transport that can say when bytes arrive, so that a Conn can
// work for a Handler.
type Pusher interface {
	// Push makes the transport's View and Read answer ErrWouldBlock instead of
	// parking, and calls r.Receive, from one goroutine at a time, at once and
	// then whenever bytes, an error or a deadline can be read. When Receive
	// returns an error, it is not called again and r.Finish is called, from a
	// goroutine that may block.
	Push(r Receiver) error
}

// A Receiver is what a Pusher calls.
type Receiver interface {
	// Receive handles all bytes that View has. Nil asks for more.
	Receive() error

	// Finish ends the connection after Receive returned an error. It may block
	// for Limits.CloseTimeout.
	Finish()
}

// closeWriter is a Transport that can end its own direction (RFC 6455 section
// 7.1.1: the server closes first).
type closeWriter interface {
	CloseWrite() error
}
