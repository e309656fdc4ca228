package engine

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// A Reservation is what a transport needs beside the connection that it carries, such as a file
// descriptor, set aside before there is a connection. See websock.Reserver.
type Reservation interface {
	// Attach takes over conn, as websock.Transport has it, with what was set aside.
	Attach(conn net.Conn, early []byte) (Transport, error)

	// Release gives back what Attach hasn't used. It is called once, after Attach if that
	// is called.
	Release()
}

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
	// the view is empty, but for a Pusher's, which then takes from the view.
	Read(p []byte) (int, error)
}

// A SendError is what View or Read of a Transport that queues returns when what was queued can't
// be sent any more, instead of waiting and at least once. That is not the end of the stream:
// what the peer sends can still be received. A Pusher calls its Receiver to tell it.
type SendError struct{ Err error }

func (e *SendError) Error() string { return "websock: what was queued can't be sent: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

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

	// Close ends the stream now and makes parked calls return. It may be called
	// more than once, from any goroutine, also from within a call of a Receiver.
	//
	// Close neither waits nor calls: not for a Receiver that is being called, not
	// for the peer to take anything (no close_notify of TLS, no SO_LINGER), and it
	// runs no code of the user's. The socket is shut down before Close returns; its
	// descriptor is freed by whoever lets go of it last. Nor does Close start a
	// goroutine for it: a process may close all of its connections at once. Only a
	// net.Conn that isn't the system's is closed by one, since its Close may wait.
	Close() error
}

// A Drainer is a Transport whose Writev never waits for the peer: what the peer
// doesn't take yet is queued, and leaves when it does. One that is so only over some
// carriers says by a method Queues() bool whether it is.
type Drainer interface {
	// Drain waits until at most most bytes are queued, the write deadline has
	// passed (os.ErrDeadlineExceeded) or the stream is over. It may be called
	// from any goroutine but the transport's own.
	Drain(most int) error
}

// A ContextDrainer is a Drainer whose wait can be given up. Conn.SendContext needs it.
type ContextDrainer interface {
	// DrainContext is Drain that returns ctx.Err() when ctx ends before. That changes nothing.
	DrainContext(ctx context.Context, most int) error
}

// A TryWriter is a Transport whose Writev waits for the peer, and that can also write without.
// A Conn that receives needs it: two peers that both wait to write before they read on would
// wait forever.
type TryWriter interface {
	// TryWrite writes what of p doesn't have to wait for the peer. It is called by who may
	// call Writev. Nil says that this was all of p. An error is final.
	TryWrite(p []byte) (Rest, error)
}

// A Rest is what a TryWrite has left.
type Rest interface {
	// Send has a goroutine of the transport wait for the peer, write the rest, and call
	// s.Sent. The bytes given to TryWrite belong to the transport and it is not to be
	// written to until then.
	Send(s Sender)
}

// A Sender is what a Rest calls.
type Sender interface {
	// Sent takes the result. It may write to the transport, and wait for the peer there.
	Sent(err error)
}

// A Lingerer is a Transport that can end a stream without cutting off what was
// sent. A Conn whose Transport isn't one closes at once.
type Lingerer interface {
	// Linger waits until what is queued has left and the peer has ended the
	// stream, or d has passed, discarding what still comes, and closes. It may
	// be called while another goroutine is parked in View or Read: those return
	// what came before, and from then on net.ErrClosed. The error says that d
	// passed (os.ErrDeadlineExceeded). A transport driven by events that calls a
	// Receiver need not wait: it returns nil and does the work when it can be
	// done.
	Linger(d time.Duration) error
}

// A Pusher is a Transport that can say when bytes arrive, so that a Conn can
// work for a Handler.
type Pusher interface {
	// Push makes the transport's View and Read answer ErrWouldBlock instead of
	// parking, and calls r.Receive, from one goroutine at a time, at once and
	// then whenever bytes, an error or a deadline can be read, and when all that it
	// had queued has left: something may have waited for room. Push itself calls
	// nothing, so that its caller may hold locks. When Receive returns an error, it
	// is not called again and r.Finish is called, from a goroutine that may block.
	Push(r Receiver) error
}

// A Pauser is a Pusher that can leave its Receiver alone for a while. Neither call may wait for
// the Receiver or call it: it may need a lock that the caller holds.
type Pauser interface {
	// Pause makes the Receive under way the last one until Resume. What it
	// leaves of the view is kept, and what comes is left with the system, so
	// that the peer has to wait. It may be called from any goroutine.
	Pause()

	// Resume ends that: Receive is called again, from the transport's goroutine,
	// at once and then as before. It may be called from any goroutine.
	Resume()
}

// A Yielder is a Pusher whose Receiver need not handle everything in one call, so that a peer
// that sends much doesn't hold up other connections.
type Yielder interface {
	// Yield has Receive called again soon, even if nothing more comes, but only after
	// others have had their turn, and unless there is a pause or the connection has ended
	// by then. What the Receiver leaves of the view is kept. It is called inside Receive,
	// and returns false if it can't do that: then the Receiver goes on.
	Yield() bool
}

// A Receiver is what a Pusher calls.
//
// Receive and End may call runtime.Goexit instead of returning, when a Handler does, and has
// to be expected to: then the transport calls Finish from another goroutine, which also takes
// over what the lost one had to do for other connections.
type Receiver interface {
	// Receive handles the bytes that View has: all of them, or, over a Yielder, as many as
	// are one turn. Nil asks for more.
	Receive() error

	// End is called instead of Receive when the stream is over for the reason
	// err, whatever View may still have: when the read deadline has passed
	// (os.ErrDeadlineExceeded) or Close was called, also in a pause. While Receive
	// is being called, it comes after that.
	End(err error)

	// Finish ends the connection after Receive returned an error, or after End.
	// It may block for Limits.CloseTimeout.
	Finish()
}

// A SecureTransport is a Transport that may know about TLS.
type SecureTransport interface {
	// TLS returns the state of the TLS connection; nil: there is no TLS. It may be called
	// from any goroutine, also after Close.
	TLS() *tls.ConnectionState
}

// closeWriter is a Transport that can end its own direction, behind what is queued
// (RFC 6455 section 7.1.1: the server closes first).
type closeWriter interface {
	CloseWrite() error
}

// An Acknowledger is a Transport that knows how many of the bytes that have left it the peer's
// system has not acknowledged yet. They show that the peer takes what is sent, and so is alive,
// when it sends nothing itself.
type Acknowledger interface {
	// Unacknowledged returns how many these are, 0 if that isn't known. It may be called from
	// any goroutine and doesn't wait.
	Unacknowledged() int
}
