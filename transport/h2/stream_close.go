package h2

import (
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
	"golang.org/x/net/http2"
)

// CloseWrite sends END_STREAM after what is queued. It doesn't wait. After the end of the stream it does
// nothing.
func (st *Stream) CloseWrite() error {
	s := st.s
	s.lock()
	defer s.unlock()
	st.endWriteLocked()
	s.commitLocked()
	return nil
}

// endWriteLocked ends our direction. A write deadline that has passed matters only to what is queued.
func (st *Stream) endWriteLocked() {
	queued := st.queuedLocked() > 0 || st.has(writev)
	if st.endErrLocked() != nil || st.has(ending|localEnded) || queued && st.writeErrLocked() != nil {
		return
	}
	st.flags |= ending
	if queued {
		return // END_STREAM follows
	}
	st.s.sendEndLocked(st)
}

// sendEndLocked sends END_STREAM, with the last DATA frame of the stream if that can still be changed, or
// with an empty one.
func (s *Session) sendEndLocked(st *Stream) {
	if !s.out.endLast(st) {
		s.out.appendDataHeader(st, 0, true)
	}
	s.endSentLocked(st)
}

// Linger discards what still arrives, until what is queued has been sent and the peer has ended the
// stream, or d has passed; then it closes. With a receiver it returns at once.
func (st *Stream) Linger(d time.Duration) error { return st.linger(d, nil) }

// AwaitsAnswer returns true: a peer may take END_STREAM for the end of both directions.
func (st *Stream) AwaitsAnswer() bool { return true }

// LingerForAnswer is Linger for a server whose last message the peer answers, as it does the close frame
// of a WebSocket. isAnswer says whether payload ends with the answer; it gets what arrives, and what has
// arrived and was not read, when a reader that has a view of it gives that back. Then END_STREAM is sent, and the stream closed. If END_STREAM were sent
// before, some clients would not answer, as they take it for the end of both directions. isAnswer is
// called with the lock of the Session held.
func (st *Stream) LingerForAnswer(d time.Duration, isAnswer func(payload []byte) bool) error {
	return st.linger(d, isAnswer)
}

func (st *Stream) linger(d time.Duration, isAnswer func(payload []byte) bool) error {
	s := st.s
	s.lock()
	if st.has(closed | lingering) {
		s.unlock()
		return nil
	}
	answered := isAnswer != nil && isAnswer(st.in.back())
	st.flags |= lingering
	st.dropInputLocked()
	st.readDeadline = timing.InstantOf(time.Now().Add(d))
	st.scheduleDeadlineLocked()
	waits := !st.has(pushed)
	r := st.ensureRare()
	r.isAnswer = isAnswer
	if waits {
		r.lingerDone = make(chan struct{})
	}
	done := r.lingerDone
	st.lingerLocked()
	if answered {
		st.answeredLocked()
	}
	if st.in != nil {
		st.in.waiter.Wake()
	}
	s.commitLocked()
	if !waits {
		s.unlock()
		return nil
	}
	s.uncorkWaiterLocked()
	s.unlock()
	<-done
	return r.lingerErr
}

// lingerLocked closes a stream that lingers when there is nothing more to wait for. If the peer has not
// taken in time what was queued, that is what Linger returns.
func (st *Stream) lingerLocked() {
	switch err := st.endErrLocked(); {
	case err == os.ErrDeadlineExceeded:
		st.closeLocked(err)
	case err != nil, st.has(remoteEnded) && st.queuedLocked() == 0:
		st.closeLocked(nil)
	}
}

// lingersForAnswer reports whether LingerForAnswer was called.
func (st *Stream) lingersForAnswer() bool { return st.rare != nil && st.rare.isAnswer != nil }

// answeredLocked closes a stream that has got its answer.
func (st *Stream) answeredLocked() {
	if st.queuedLocked() == 0 {
		st.endWriteLocked()
		st.closeLocked(nil)
	}
}

// closeLocked closes the stream as close(2) does a socket. err is what Linger returns.
func (st *Stream) closeLocked(err error) {
	if st.has(closed) {
		return
	}
	s := st.s
	lost := st.queuedLocked() > 0 || st.has(writev) || st.rare != nil && st.rare.sendErr != nil
	st.flags |= closed
	if s.streams[st.id] == st {
		switch {
		case st.has(remoteEnded) && !lost:
			s.sendEndLocked(st)
		case st.has(localEnded) && !s.client:
			st.resetLocked(http2.ErrCodeNo, net.ErrClosed) // RFC 9113 section 8.1
		default:
			st.resetLocked(http2.ErrCodeCancel, net.ErrClosed)
		}
	}
	if r := st.rare; r != nil {
		r.onEnd = nil
		if r.lingerDone != nil {
			r.lingerErr = err
			close(r.lingerDone)
			r.lingerDone = nil
		}
	}
	st.failLocked(net.ErrClosed)
	st.dropQueueLocked()
	if !st.has(pushed) {
		st.dropInputLocked()
	}
}

// Close ends the stream at once. What is queued is lost. If both sides have ended the stream, nothing
// is sent; if only the peer has, END_STREAM; else RST_STREAM, with the code CANCEL, or NO_ERROR by a
// server that has called CloseWrite (RFC 9113 section 8.1). The error is always nil.
func (st *Stream) Close() error {
	s := st.s
	s.lock()
	defer s.unlock()
	st.closeLocked(nil)
	s.commitLocked()
	return nil
}

// Reset ends the stream as Close does, with RST_STREAM and this code, unless both sides have ended the
// stream before.
func (st *Stream) Reset(code http2.ErrCode) {
	s := st.s
	s.lock()
	defer s.unlock()
	if s.streams[st.id] == st {
		st.resetLocked(code, net.ErrClosed)
	}
	st.closeLocked(nil)
	s.commitLocked()
}
