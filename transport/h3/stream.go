package h3

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport/std"
)

// A stream is the stream of a WebSocket, after the heads of its request and response, as a net.Conn. What
// it carries are the payloads of DATA frames.
type stream struct {
	str  *quic.Stream
	ends streamEnds

	session       *session               // nil: the stream is a server's
	abort         func(*violation) error // ends the connection, and returns the error for it
	local, remote net.Addr
	tls           func() tls.ConnectionState

	reading  sync.Mutex // held by a Read
	frames   deframer
	violated atomic.Pointer[error] // why we have ended the connection; nil: we haven't

	writing sync.Mutex // held by a Write
	unsent  int        // bytes that TryWrite has written since the last Write: no more of them wait in quic-go
	failed  error      // of a write, and so of all later ones
	torn    bool       // it was in the middle of a frame

	writeDeadline atomic.Int64 // a timing.Instant

	closed atomic.Bool
}

// streamEnds are the methods that end a stream. Those of an http3.Stream have its connection forget it.
type streamEnds interface {
	CancelRead(quic.StreamErrorCode)
	CancelWrite(quic.StreamErrorCode)
	Close() error
}

// WaitRead makes a stream a std.Stream: it waits for bytes, and takes none.
func (st *stream) WaitRead() error {
	var first [1]byte
	_, err := st.str.Peek(first[:])
	if err == io.EOF {
		return nil // Read knows whether the end is inside a frame
	}
	return st.errorOf(err)
}

// Read reads the payloads of DATA frames.
func (st *stream) Read(p []byte) (int, error) {
	st.reading.Lock()
	defer st.reading.Unlock()
	for len(p) > 0 {
		if broken := st.violated.Load(); broken != nil {
			return 0, *broken
		}
		n, err := st.str.Read(p)
		n, bad := st.frames.deframe(p[:n])
		var broken error
		if bad != nil {
			broken = st.fail(bad)
		}
		switch {
		case n > 0:
			return n, nil // the next Read returns an error again
		case broken != nil:
			return 0, broken
		case err == io.EOF && st.frames.isInside():
			return 0, st.fail(errCutOff)
		case err != nil:
			return 0, st.errorOf(err)
		}
	}
	return 0, nil
}

// errorOf returns the error for one of quic-go.
func (st *stream) errorOf(err error) error {
	var ended *SessionError
	switch {
	case err == nil:
		return nil
	case st.closed.Load():
		return net.ErrClosed
	}
	if broken := st.violated.Load(); broken != nil {
		return *broken
	}
	err = streamError(err)
	if st.session != nil && errors.As(err, &ended) {
		return st.session.withCause(ended)
	}
	return err
}

// fail ends the connection of a stream whose peer has violated RFC 9114, and returns the error.
func (st *stream) fail(v *violation) error {
	broken := st.abort(v)
	st.violated.Store(&broken)
	return broken
}

// smallWrite is the size of a payload that is copied, together with its header, so that both are in one
// packet.
const smallWrite = 2 << 10

// Write writes p as one DATA frame. It returns when quic-go has sent all but the last packet of it.
func (st *stream) Write(p []byte) (n int, err error) {
	st.writing.Lock()
	defer st.writing.Unlock()
	switch {
	case st.failed != nil:
		return 0, st.errorOf(st.failed)
	case st.closed.Load():
		return 0, net.ErrClosed
	case len(p) == 0:
		return 0, nil
	}
	n, st.failed = st.writeFrame(p)
	st.unsent = 0
	return n, st.errorOf(st.failed)
}

// writeFrame writes a DATA frame.
func (st *stream) writeFrame(p []byte) (n int, err error) {
	b := buffer.Get(maxFrameHeader + smallWrite)
	defer b.Put()
	head := appendFrameHeader(b.B[:0], frameData, len(p))
	size, rest := len(head), p
	if len(p) <= smallWrite {
		head, rest = append(head, p...), nil
	}
	n, err = st.str.Write(head)
	if err == nil && len(rest) > 0 {
		var more int
		more, err = st.str.Write(rest)
		n += more
	}
	st.torn = err != nil && n > 0
	return max(0, n-size), err
}

// What TryWrite hands over at once, and at most before a Write has shown that quic-go has sent it.
const (
	tryWriteSize = 16 << 10
	maxUnsent    = 64 << 10
)

// TryWrite makes a stream a std.Stream: it writes as much of p as the peer's windows and the bound of what
// waits in quic-go allow.
func (st *stream) TryWrite(p []byte) (n int, err error) {
	if !st.writing.TryLock() {
		return 0, nil
	}
	defer st.writing.Unlock()
	if st.failed == nil && st.isWriteTimeOver() {
		st.failed = os.ErrDeadlineExceeded
	}
	switch {
	case st.failed != nil:
		return 0, st.errorOf(st.failed)
	case st.closed.Load():
		return 0, net.ErrClosed
	}
	for n < len(p) && st.unsent < maxUnsent {
		part := p[n:min(len(p), n+tryWriteSize)]
		b := buffer.Get(maxFrameHeader + len(part))
		frame := append(appendFrameHeader(b.B[:0], frameData, len(part)), part...)
		err := st.str.TryWriteAll(frame)
		size := len(frame)
		b.Put()
		switch {
		case errors.Is(err, quic.ErrWouldBlock):
			return n, nil
		case err != nil:
			st.failed = err
			return n, st.errorOf(err)
		}
		st.unsent += size
		n += len(part)
	}
	return n, nil
}

// CloseWrite ends our direction of the stream, unless a Write is in progress.
func (st *stream) CloseWrite() error {
	if !st.writing.TryLock() {
		return nil
	}
	defer st.writing.Unlock()
	return st.endWritesLocked()
}

// endWritesLocked ends our direction of the stream, by a reset if it ends inside a frame: the end of the stream
// there is an error of the whole connection (RFC 9114 section 7.1).
func (st *stream) endWritesLocked() error {
	if st.torn {
		st.ends.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		return nil
	}
	return st.ends.Close()
}

// Close does what close(2) does to a socket: what was written is sent. A Write in progress fails, and the
// stream is reset then. Close doesn't wait.
func (st *stream) Close() error {
	if st.closed.Swap(true) {
		return net.ErrClosed
	}
	if st.writing.TryLock() {
		st.endWritesLocked()
		st.writing.Unlock()
	} else {
		st.ends.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	}
	if st.session == nil {
		// A server that has sent all of its response can do without the rest of the request (RFC 9114
		// section 4.1).
		st.ends.CancelRead(quic.StreamErrorCode(http3.ErrCodeNoError))
		return nil
	}
	st.ends.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	st.session.release()
	return nil
}

// CloseAtOnce makes a stream a std.Stream: Close doesn't wait.
func (st *stream) CloseAtOnce() {}

// SetReadDeadline makes a stream a net.Conn.
func (st *stream) SetReadDeadline(t time.Time) error { return st.str.SetReadDeadline(t) }

// SetWriteDeadline makes a stream a net.Conn. TryWrite has to keep the deadline, too, which that of quic-go
// doesn't.
func (st *stream) SetWriteDeadline(t time.Time) error {
	st.writeDeadline.Store(int64(timing.InstantOf(t)))
	return st.str.SetWriteDeadline(t)
}

func (st *stream) isWriteTimeOver() bool {
	return timing.Instant(st.writeDeadline.Load()).Passed()
}

// SetDeadline makes a stream a net.Conn.
func (st *stream) SetDeadline(t time.Time) error {
	st.SetWriteDeadline(t)
	return st.SetReadDeadline(t)
}

func (st *stream) LocalAddr() net.Addr                  { return st.local }
func (st *stream) RemoteAddr() net.Addr                 { return st.remote }
func (st *stream) ConnectionState() tls.ConnectionState { return st.tls() }

// A conn is the transport.Conn of a stream. Package std makes it a transport.Pusher and a
// transport.Queue.
type conn struct {
	*std.Conn
	stream *stream
}

func newConn(st *stream) *conn { return &conn{std.New(st, nil), st} }
