package h2

import (
	"net"
	"os"
	"sync"

	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// keptSize is the size of the buffers that keep what has arrived, for all but short payload.
const keptSize = 16 << 10

// An input has what a Stream has received and its reader has not consumed. It belongs to the lock of
// the Session.
type input struct {
	kept   chunks // what has arrived
	viewed int    // of the first chunk, so much has the reader in a view

	// Of a goroutine that waits.
	into   []byte // where Read wants the bytes; nil: in the chunks
	got    int    // how many bytes are there
	waiter timing.Waiter
}

// front returns the oldest bytes, which stay where they are while others are added.
func (in *input) front() []byte {
	if in == nil {
		return nil
	}
	return in.kept.front()
}

// back returns the latest bytes, as far as they are in one piece that no reader has in a view: it may
// change them.
func (in *input) back() []byte {
	switch {
	case in == nil || in.kept.empty():
		return nil
	case len(in.kept.list) > 1:
		return in.kept.list[len(in.kept.list)-1].B
	case in.viewed > 0:
		return nil
	}
	return in.kept.front()
}

// add adds a copy of p.
func (in *input) add(p []byte) {
	if len(in.into) > 0 && in.kept.empty() {
		in.got = copy(in.into, p)
		in.into = nil
		p = p[in.got:]
	}
	in.kept.add(p, keptSize)
}

// consume drops the n oldest bytes.
func (in *input) consume(n int) {
	in.viewed = max(in.viewed-n, 0)
	if b := in.kept.take(n); b != nil {
		b.Put()
	}
}

// drop drops all bytes, and returns how many they are. The chunk of which the reader has a view is kept
// until the reader comes back.
func (in *input) drop() (n int) {
	list := in.kept.list
	n = -in.kept.start
	for i, b := range list {
		n += len(b.B)
		if i > 0 || in.viewed == 0 {
			b.Put()
		}
	}
	if in.viewed > 0 {
		in.kept.list = list[:1]
	} else {
		in.kept = chunks{}
	}
	return n
}

// deliverLocked passes payload that has arrived to the stream's receiver, or keeps it. st may be nil.
func (s *Session) deliverLocked(st *Stream, payload []byte) {
	switch {
	case st == nil:
	case st.has(closed | lingering | finished):
		s.refundStreamLocked(st, len(payload))
		if st.lingersForAnswer() && st.rare.isAnswer(payload) {
			st.answeredLocked()
		}
	case st.has(pushed) && !st.has(paused) && len(st.in.front()) == 0:
		st.view = payload
		s.turn.given = len(payload)
		s.unlock()
		st.callReceiver()
		s.lock()
		s.keepViewLocked(st)
	default:
		s.deliverLaterLocked(st, payload)
	}
}

// keepViewLocked keeps what a call of the receiver has left of the payload that it was given.
func (s *Session) keepViewLocked(st *Stream) {
	rest := st.view
	st.view = nil
	s.refundStreamLocked(st, s.turn.given-len(rest))
	s.turn.given = 0
	s.deliverLaterLocked(st, rest)
}

// deliverLaterLocked keeps payload until it is read, or until the receiver is called again.
func (s *Session) deliverLaterLocked(st *Stream, payload []byte) {
	switch {
	case len(payload) == 0:
		return
	case st.has(closed | lingering | finished):
		s.refundStreamLocked(st, len(payload))
		return
	}
	st.ensureInput().add(payload)
	st.in.waiter.Wake()
	if !st.has(paused) {
		s.scheduleLocked(st)
	}
}

// View returns bytes that were received. It waits as transport.Conn says, or returns
// transport.ErrWouldBlock after Push. After the peer's END_STREAM it returns io.EOF, and if the stream
// was reset or the Session has ended, a *StreamError or a *SessionError.
func (st *Stream) View() ([]byte, error) {
	switch {
	case len(st.view) > 0:
		return st.view, nil
	case st.view != nil: // its Receiver has consumed what it was called for, and is called again for anything else
		return nil, transport.ErrWouldBlock
	}
	view, _, err := st.receive(nil)
	return view, err
}

// Consume drops the first n bytes of the view.
func (st *Stream) Consume(n int) {
	if len(st.view) > 0 {
		st.view = st.view[n:]
		return
	}
	if n == 0 {
		return
	}
	s := st.s
	s.lock()
	defer s.unlock()
	if st.in == nil || st.in.kept.empty() {
		return // it was dropped when the stream ended
	}
	if n >= st.in.viewed && st.has(lingering) && st.lingersForAnswer() && st.rare.isAnswer(st.in.front()) {
		st.answeredLocked()
		s.commitLocked()
	}
	st.in.consume(n)
	switch {
	case !st.has(closed | lingering):
		st.consumedLocked(n)
	case st.in.viewed == 0: // what is left was given back to the peer's window when the stream was closed
		st.in.drop()
	}
}

// consumedLocked gives n bytes back to the peer's window.
func (st *Stream) consumedLocked(n int) {
	s := st.s
	before := s.out.size()
	s.refundStreamLocked(st, n)
	if s.out.size() > before {
		s.commitLocked()
	}
	if st.has(pushed) {
		st.releaseInputLocked()
	}
}

// inputs has those of streams that have nothing kept any more.
var inputs = sync.Pool{New: func() any { return new(input) }}

func (st *Stream) ensureInput() *input {
	if st.in == nil {
		st.in = inputs.Get().(*input)
	}
	return st.in
}

// releaseInputLocked releases the input, unless it has something, or a goroutine waits with it.
func (st *Stream) releaseInputLocked() {
	in := st.in
	if in == nil || !in.kept.empty() || in.waiter.IsUsed() || in.viewed > 0 {
		return
	}
	st.in = nil
	*in = input{kept: chunks{list: in.kept.list}}
	inputs.Put(in)
}

// Read reads into p. It waits as View does, and returns the same errors.
func (st *Stream) Read(p []byte) (int, error) {
	switch {
	case len(st.view) > 0:
		n := copy(p, st.view)
		st.view = st.view[n:]
		return n, nil
	case len(p) == 0:
		return 0, nil
	}
	_, n, err := st.receive(p)
	return n, err
}

// receive waits for bytes. It reads them into p, or returns a view of them if p is nil.
func (st *Stream) receive(p []byte) (view []byte, n int, err error) {
	s := st.s
	s.lock()
	defer s.unlock()
	for {
		switch front := st.in.front(); {
		case st.has(closed | lingering):
			st.releaseViewLocked()
			return nil, 0, net.ErrClosed
		case st.has(sendFailed):
			st.flags &^= sendFailed
			return nil, 0, &transport.SendError{Err: st.rare.sendErr}
		case len(front) > 0 && p == nil:
			st.in.viewed = len(front)
			return front, 0, nil
		case len(front) > 0:
			n = copy(p, front)
			st.in.consume(n)
			st.consumedLocked(n)
			return nil, n, nil
		case st.err != nil:
			return nil, 0, st.err
		case st.has(pushed):
			return nil, 0, transport.ErrWouldBlock
		case st.readDeadline.Passed():
			return nil, 0, os.ErrDeadlineExceeded
		}
		if n = st.awaitLocked(p); n > 0 {
			st.consumedLocked(n)
			return nil, n, nil
		}
	}
}

// awaitLocked waits until something has changed. It returns how many bytes have been read into p
// meanwhile. It unlocks while it waits.
func (st *Stream) awaitLocked(p []byte) int {
	in := st.ensureInput()
	in.waiter.Init()
	in.into, in.got = p, 0
	deadline := st.readDeadline
	st.s.uncorkWaiterLocked()
	st.s.unlock()
	in.waiter.Wait(deadline)
	st.s.lock()
	in.into = nil
	return in.got
}
