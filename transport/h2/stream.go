package h2

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// A Stream is a stream of a Session (RFC 9113 section 5). It is a transport.Conn, a transport.Pusher and
// a transport.Queue: Writev never waits.
//
// Its size counts, since a process may have a million of them: what only a busy stream needs is in
// input, output and rare, which an idle one doesn't have.
type Stream struct {
	s        *Session
	id       uint32
	queued   atomic.Int32       // bytes; changed under the lock
	receiver transport.Receiver // set by Push

	view []byte // of the turn: what its Receiver is called for and has not consumed

	// Under the lock of the Session.
	flags         streamFlags
	unrefunded    int32 // bytes that were consumed, and belong to the window again
	sendWindow    int64 // bytes that the peer takes
	recvWindow    int64 // bytes that the peer may send
	err           error // what comes after the bytes received: io.EOF, or why the stream has ended
	in            *input
	out           *streamOutput
	rare          *rare
	readDeadline  timing.Instant
	writeDeadline timing.Instant
	checkAt       timing.Instant // when the deadlines are checked next; 0: not at all
}

// streamFlags are the state of a Stream.
type streamFlags uint16

const (
	remoteEnded streamFlags = 1 << iota // the peer has sent END_STREAM
	localEnded                          // we have
	ending                              // END_STREAM follows the queue: CloseWrite was called, or SendHead
	closed                              // Close was called
	lingering                           // what arrives is discarded
	pushed                              // Push was called: the turn calls the receiver
	paused                              // until Resume, the receiver isn't called
	scheduled                           // the turn calls run soon
	finished                            // the receiver isn't called any more
	enlisted                            // in the ring of streams that send in turn
	sendFailed                          // queued bytes can't be sent, and the reader doesn't know yet
	writev                              // Writev sends, and may have unlocked meanwhile
)

// has reports whether any of the flags is set.
func (st *Stream) has(f streamFlags) bool { return st.flags&f != 0 }

// rare has what few streams need, or only for a while.
type rare struct {
	opening    *opening            // the response has not come
	trailer    []hpack.HeaderField // of the peer
	onEnd      func(error)
	sendErr    error                     // why nothing can be sent any more, though the stream goes on
	lingerDone chan struct{}             // closed when lingering ends
	lingerErr  error                     // the result of Linger
	isAnswer   func(payload []byte) bool // of LingerForAnswer; else nil
}

func (r *rare) isEmpty() bool {
	return r.opening == nil && r.trailer == nil && r.onEnd == nil && r.sendErr == nil && r.lingerDone == nil && r.isAnswer == nil
}

func (st *Stream) ensureRare() *rare {
	if st.rare == nil {
		st.rare = &rare{}
	}
	return st.rare
}

// An opening is a request whose response has not come.
type opening struct {
	arrived chan struct{} // closed when head or err is set
	over    bool          // it is closed
	head    Head
	err     error
}

// isOpeningLocked reports whether the response has not come.
func (st *Stream) isOpeningLocked() bool {
	return st.rare != nil && st.rare.opening != nil && !st.rare.opening.over
}

// openedLocked ends the opening, with a response or an error.
func (st *Stream) openedLocked(head Head, err error) {
	o := st.rare.opening
	o.over, o.head, o.err = true, head, err
	close(o.arrived)
}

// ID returns the number of the stream.
func (st *Stream) ID() uint32 { return st.id }

// Session returns the Session of the stream.
func (st *Stream) Session() *Session { return st.s }

// Head waits for the header of the response, in the client role, and returns it. Interim responses,
// with a status of 1xx, are skipped. The error is that of ctx, a *StreamError, a *SessionError, or
// net.ErrClosed. After the first Head that returned none, it must not be called again.
func (st *Stream) Head(ctx context.Context) (Head, error) {
	s := st.s
	s.lock()
	o := st.rare.opening
	s.uncorkWaiterLocked()
	s.unlock()
	select {
	case <-o.arrived:
	case <-ctx.Done():
		return Head{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.err == nil {
		st.rare.opening = nil
		if st.rare.isEmpty() {
			st.rare = nil
		}
	}
	return o.head, o.err
}

// SendHead sends a header list: in the server role interim responses, the response and the trailer,
// in the client role the trailer. A trailer, which has endStream, is sent after what is queued. It
// doesn't wait. The errors are those of Writev.
func (st *Stream) SendHead(fields []hpack.HeaderField, endStream bool) error {
	s := st.s
	s.lock()
	defer s.unlock()
	if err := st.writeErrLocked(); err != nil {
		return err
	}
	if endStream && (st.queuedLocked() > 0 || st.has(writev)) {
		st.flags |= ending
		st.ensureOutput().trailer = fields
		return nil
	}
	s.out.writeHead(st, fields, endStream)
	if endStream {
		s.endSentLocked(st)
	}
	s.commitLocked()
	return nil
}

// Trailer returns the peer's trailer, once View or Read has returned io.EOF. It is nil if there was
// none.
func (st *Stream) Trailer() []hpack.HeaderField {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if st.rare == nil {
		return nil
	}
	return st.rare.trailer
}

// OnEnd has f called once, when the peer has reset the stream or the Session has ended, at once if that
// has happened. It is called by any goroutine, with no lock held, and must not block. It is not called
// after Close, and not after an OnEnd with another f, or with nil.
func (st *Stream) OnEnd(f func(err error)) {
	s := st.s
	s.lock()
	defer s.unlock()
	switch {
	case st.has(closed) || f == nil && st.rare == nil:
	case f != nil && s.streams[st.id] != st && st.endErrLocked() != nil:
		s.notes.ends = append(s.notes.ends, endNote{f, st.endErrLocked()})
	default:
		st.ensureRare().onEnd = f
		if st.rare.isEmpty() {
			st.rare = nil
		}
	}
}

// LocalAddr returns the local address of the carrier.
func (st *Stream) LocalAddr() net.Addr { return st.s.carrier.LocalAddr() }

// RemoteAddr returns the remote address of the carrier.
func (st *Stream) RemoteAddr() net.Addr { return st.s.carrier.RemoteAddr() }

// TLS returns the state of the carrier's TLS connection, or nil if there is none.
func (st *Stream) TLS() *tls.ConnectionState { return st.s.carrier.TLS() }

// endReceivedLocked is called when the peer has sent END_STREAM.
func (st *Stream) endReceivedLocked() {
	st.flags |= remoteEnded
	if st.err == nil {
		st.err = io.EOF
	}
	if st.has(localEnded) {
		st.s.removeLocked(st)
	}
	st.changedLocked()
}

// endSentLocked is called when we have sent END_STREAM.
func (s *Session) endSentLocked(st *Stream) {
	st.flags |= localEnded
	if st.has(remoteEnded) {
		s.removeLocked(st)
	}
	st.queueSentLocked()
}

// peerResetLocked is called when the peer has reset the stream, which is not one of the Session's any
// more.
func (st *Stream) peerResetLocked(code http2.ErrCode) {
	st.failLocked(&StreamError{Code: code, Remote: true})
}

// failLocked ends the stream with err, for both directions. What has arrived can still be received, and
// if the peer has ended the stream properly, its end.
func (st *Stream) failLocked(err error) {
	if st.err == nil {
		st.err = err
	}
	if r := st.rare; r != nil {
		if st.isOpeningLocked() {
			st.openedLocked(Head{}, err)
		}
		if r.onEnd != nil {
			st.s.notes.ends = append(st.s.notes.ends, endNote{r.onEnd, err})
			r.onEnd = nil
		}
	}
	st.sendingFailedLocked(err)
}

// sendingFailedLocked ends sending. If something was queued, the reader gets the error, too.
func (st *Stream) sendingFailedLocked(err error) {
	if st.has(localEnded) {
		st.changedLocked()
		return
	}
	r := st.ensureRare()
	if r.sendErr == nil {
		r.sendErr = err
	}
	if st.queuedLocked() > 0 && st.err == nil {
		st.flags |= sendFailed
	}
	st.dropQueueLocked()
	st.changedLocked()
}

// resetLocked resets the stream. Receives return err.
func (st *Stream) resetLocked(code http2.ErrCode, err error) {
	s := st.s
	if s.streams[st.id] == st {
		s.writeResetLocked(st.id, code, st.recvWindow)
		s.removeLocked(st)
	}
	st.failLocked(err)
}

// changedLocked wakes those who wait for the stream: the reader, the receiver, and Linger.
func (st *Stream) changedLocked() {
	if st.has(lingering) {
		st.lingerLocked()
	}
	if st.in != nil {
		st.in.waiter.Wake()
	}
	st.s.scheduleLocked(st)
}

var _ interface {
	transport.Conn
	transport.Pusher
	transport.Queue
} = (*Stream)(nil)
