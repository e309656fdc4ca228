package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// ErrTimeout is what a receive returns when its time is over. It changes nothing: the same call
// can be made again, at any byte of a header or payload. It is a net.Error, and
// errors.Is(err, os.ErrDeadlineExceeded) holds.
var ErrTimeout error = timeoutError{}

// ErrWouldBlock is what View and Read of a Conn that pushes return, instead of waiting, when no
// bytes have arrived.
var ErrWouldBlock = errors.New("websock: no bytes yet")

// ErrUnsupported is what Attach of a Factory returns for a net.Conn that it can't carry, and leaves
// as it was. A Conn over transport/std is made instead.
var ErrUnsupported = errors.New("websock: transport can't carry this connection")

type timeoutError struct{}

func (timeoutError) Error() string        { return "websock: timeout" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Temporary() bool      { return true }
func (timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// A SendError is what View or Read of a Conn that queues returns, once and instead of waiting, when
// the queued bytes can't be sent any more. The stream has not ended: what the peer sends can still be
// received. A Pusher calls its Receiver, so that it reads the error.
type SendError struct{ Err error }

func (e *SendError) Error() string { return "websock: queued bytes can't be sent: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

// A Conn carries the bytes of one connection.
//
// One goroutine at a time calls View, Consume and Read, and one at a time calls Writev and TryWrite;
// reading and writing may happen at the same time. Every other method may be called from any
// goroutine at any time, also after Close.
type Conn interface {
	// View returns the bytes that can be read, without copying them. They belong to the Conn,
	// may be changed in place by the caller, and stay valid until Consume has taken the
	// last of them. If there are none it waits until some arrive, the read deadline passes
	// (os.ErrDeadlineExceeded), the stream ends (io.EOF) or Close is called (net.ErrClosed).
	View() ([]byte, error)

	// Consume drops the first n bytes of the view. After the last one the Conn may reuse the
	// memory behind the view for another connection.
	Consume(n int)

	// Read reads into p, without copying where it can, and waits as View does. It is called
	// while the view is empty. That of a Pusher may also be called while it is not, and then
	// takes from the view.
	Read(p []byte) (int, error)

	// Writev writes all bytes of bufs, in order. It waits for the peer unless the Conn is a
	// Queue that says otherwise. It keeps neither bufs nor its elements, and may change the
	// elements of bufs, but not the bytes. An error is final: nothing more is written.
	Writev(bufs ...[]byte) error

	// Queued returns how many bytes Writev has taken that the system has not. It is 0 if
	// Writev waits for the peer.
	Queued() int

	// SetReadDeadline sets the time at which View and Read stop waiting, also those under
	// way. The zero time means never.
	SetReadDeadline(t time.Time) error

	// SetWriteDeadline sets the time at which Writev and Drain stop waiting, also those under
	// way, and at which what is queued fails. The zero time means never.
	SetWriteDeadline(t time.Time) error

	// CloseWrite ends our direction of the stream once all that is queued has been sent
	// (RFC 6455 section 7.1.1: the server closes first). It doesn't wait. A Conn that can't do
	// it returns nil: then the peer's timeout ends the connection, unless the Conn is an
	// AnswerAwaiter.
	CloseWrite() error

	// Linger waits until what is queued has been sent and the peer has ended the stream, or d
	// has passed, discards what still arrives, and closes. It may be called while another
	// goroutine waits in View or Read: those return what arrived before, and from then on
	// net.ErrClosed. The error says that d passed (os.ErrDeadlineExceeded). A Conn that calls
	// a Receiver need not wait: it returns nil and does the work later. A Conn that can't
	// linger calls Close.
	Linger(d time.Duration) error

	// Close ends the stream now and makes waiting calls return. It may be called more than
	// once, also from within a call of a Receiver.
	//
	// Close neither waits nor calls: not for a Receiver that is being called, not for the peer
	// to take anything (no close_notify of TLS, no SO_LINGER), and it runs no user code. The
	// socket is shut down before Close returns; its descriptor is freed by the last call that
	// uses it. Close starts no goroutine for this, since a process may close all of its
	// connections at once. Only a net.Conn that isn't the system's is closed by a goroutine,
	// because its Close may wait.
	Close() error

	// LocalAddr and RemoteAddr return the addresses of both ends.
	LocalAddr() net.Addr
	RemoteAddr() net.Addr

	// TLS returns the state of the TLS connection, or nil if there is none or it is unknown.
	TLS() *tls.ConnectionState
}

// A Pusher is a Conn that calls a Receiver when bytes arrive. It makes Handlers possible.
type Pusher interface {
	// Push makes View and Read return ErrWouldBlock instead of waiting, and has r.Readable called,
	// from one goroutine at a time: at once, and then whenever bytes, an error or a passed
	// deadline can be read, and when the queue has become empty, since something may have
	// waited for room. When Readable returns an error, it is not called again and
	// r.Finish is called, from a goroutine that may block. If Push returns an error, r isn't
	// called.
	//
	// Push is called once, and again only inside Finish after a runtime.Goexit, as Receiver
	// says.
	Push(r Receiver) error

	// Pause makes the call of Readable under way the last one until Resume. What it leaves of
	// the view is kept. What arrives stays with the system, so that the peer has to wait.
	Pause()

	// Resume ends a pause: Readable is called again, from the Pusher's goroutine, at once and
	// then as before.
	//
	// Resume has Readable called soon even if there is no pause and nothing has arrived, so that
	// any goroutine can have the Receiver do something. It neither waits nor calls the Receiver
	// itself. The call of Readable begins after that of Resume, so during a Readable, Resume
	// leads to another one. Several calls of Resume may lead to a single one of Readable.
	Resume()

	// Yield has Readable called again soon, even if nothing more arrives, but only after other
	// connections had their turn, and unless there is a pause or the connection has
	// ended by then. What Readable leaves of the view is kept. It is called inside Readable.
	// False means that the Pusher can't do it: then the Receiver continues.
	Yield() bool
}

// A Receiver is what a Pusher calls.
//
// It asks for the bytes with View and Consume. A call that is given the bytes, and returns how many
// it used, was measured too: it saves 3 % of the instructions of a process that echoes on an event
// loop, but no time that could be measured, and each layer in between, such as TLS, would have to
// wrap the Receiver.
//
// Readable and End may call runtime.Goexit instead of returning, when a Handler does. Then the
// Pusher calls Finish from another goroutine, which also takes over what the lost one had to do for
// other connections. Inside this Finish, and only there, the Receiver may call Push again, which may
// call Readable before Finish returns. If Push returns nil, the connection goes on as if Readable had
// returned nil: what the lost call has left of the view is kept, and the Receiver is called until
// Finish is called again.
type Receiver interface {
	// Readable handles the bytes that View has: all of them, or as many as are one turn, see
	// Pusher.Yield. Nil asks for more.
	Readable() error

	// End is called instead of Readable when the stream is over for the reason err, whatever
	// the view still has: when the read deadline has passed (os.ErrDeadlineExceeded) or Close
	// was called, also during a pause. It is called after a Readable under way. Unless there is a
	// pause, a deadline that passes while the view is empty may be left to Readable, which gets it
	// from View.
	End(err error)

	// Finish ends the connection after Readable returned an error, after End, or after
	// runtime.Goexit in one of these. It may block for Limits.CloseTimeout.
	Finish()
}

// A Queue is a Conn that can write without waiting for the peer.
type Queue interface {
	// Queues reports whether Writev never waits: what the peer doesn't take yet is queued,
	// and sent when it does. If not, Writev waits and only TryWrite doesn't. It always gives
	// the same answer.
	Queues() bool

	// TryWrite writes as much of p as doesn't have to wait for the peer. A nil PendingWrite
	// says that this was all of p, or that the rest is queued. An error is final.
	TryWrite(p []byte) (PendingWrite, error)

	// Drain waits until at most n bytes are queued, and returns nil; or until ctx ends
	// (ctx.Err(), which changes nothing), the write deadline has passed
	// (os.ErrDeadlineExceeded), or the stream is over. It may be called from any goroutine
	// except the one that calls the Receiver. If Writev waits, nothing is queued.
	Drain(ctx context.Context, n int) error

	// Unacknowledged returns how many of the bytes that are not queued any more the peer's system
	// has not acknowledged, 0 if that isn't known. While it sinks, the peer is alive, even if it
	// sends nothing.
	Unacknowledged() int
}

// A Batcher is a Pusher and a Queue that writes for several connections together, which costs less
// than a write for each.
type Batcher interface {
	// Batches reports whether WriteBehind may be called. It always gives the same answer.
	Batches() bool

	// WriteBehind is Writev for what is written at the end of Readable or End, by the goroutine that
	// calls it. The Conn may keep a copy of the bytes until the Receivers of other connections for which
	// bytes have arrived were called, then write them, and report an error as one of queued bytes.
	// It writes them earlier when any other method needs it: those that write or wait, CloseWrite,
	// Linger, Close and SetWriteDeadline. A Receiver that doesn't return must not keep back what
	// others have written. Queued doesn't count the bytes.
	WriteBehind(bufs ...[]byte) error
}

// A PendingWrite is what TryWrite could not write without waiting.
type PendingWrite interface {
	// Finish has a goroutine of the transport wait for the peer, write the rest, and call
	// done.Wrote, once, also when the connection ends. Until then the bytes given to TryWrite
	// belong to the transport, and nothing else may be written to it.
	Finish(done WriteDone)
}

// A WriteDone is told that a PendingWrite is finished.
type WriteDone interface {
	// Wrote takes the result. It may write to the transport, and wait for the peer there.
	Wrote(err error)
}

// A Factory makes the Conn of a connection on which the opening handshake is done.
type Factory interface {
	// Attach takes over conn. early are bytes that were read from it: they are received first,
	// and belong to the Conn. For a conn that the Factory can't carry the error is
	// ErrUnsupported; TLS connections need not be carried, since transport/tls puts TLS over
	// any Conn. On any error conn is as it was.
	Attach(conn net.Conn, early []byte) (Conn, error)
}

// A TLSFactory is a Factory that takes over TLS connections itself, for example to log what is
// sent and received, decrypted.
type TLSFactory interface {
	Factory

	// AttachTLS is Attach for conn, which is a *tls.Conn of crypto/tls after its handshake. It
	// is called in place of Attach. The Reservations of a Reserver need an AttachTLS of their
	// own, as they are called in place of the Factory.
	AttachTLS(conn net.Conn, early []byte) (Conn, error)
}

// A Dialer is a Factory that can connect by itself, which may cost less than to take over a connection
// of package net. Dial and Open use it for a Config without a Dialer, a NetDial, a proxy, a DialTLS and
// a Trace with DialDone, if the host is an IP address without a zone, the context has no
// httptrace.ClientTrace, and GODEBUG doesn't demand Multipath TCP: then nothing of package net was asked
// for.
type Dialer interface {
	Factory

	// DialTCP connects to addr as the zero net.Dialer does, before ctx ends. Its net.Conn has
	// deadlines, and is given to Attach of the same Factory after the opening handshake. A
	// Reserver has reserved what the connection needs by then.
	DialTCP(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
}

// A Reserver is a Factory that needs something beside the connection that it takes over, such as a
// file descriptor. Dial and Accept reserve it before there is a connection, so that a process
// which has reached a limit does not open connections only to close them.
type Reserver interface {
	Factory

	// Reserve reserves what one connection needs.
	Reserve() (Reservation, error)
}

// A Reservation is what a Reserver has reserved for one connection.
type Reservation interface {
	// Attach is that of Factory. It uses what was reserved, if it takes over conn.
	Attach(conn net.Conn, early []byte) (Conn, error)

	// Release gives back what Attach hasn't used. It is called once, after Attach if that is
	// called.
	Release()
}
