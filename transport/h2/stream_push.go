package h2

import (
	"net"
	"os"

	"github.com/seed004e8d11/websock/transport"
)

// Push has r called by the turns of the Session, which the goroutine of the carrier makes: at once, and
// whenever something has arrived for the stream.
func (st *Stream) Push(r transport.Receiver) error {
	s := st.s
	s.lock()
	defer s.unlock()
	if st.has(closed) {
		return net.ErrClosed
	}
	st.receiver = r
	st.flags |= pushed
	st.flags &^= finished // the receiver goes on after it has ended a goroutine
	st.scheduleDeadlineLocked()
	s.scheduleLocked(st)
	return nil
}

// Pause keeps what arrives until Resume, at most the stream's window.
func (st *Stream) Pause() {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.flags |= paused
}

// Resume ends a pause. Without one, it has the receiver called soon.
func (st *Stream) Resume() {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.flags &^= paused
	st.s.scheduleLocked(st)
}

// Yield has the receiver called again after the other streams have had their turn.
func (st *Stream) Yield() bool {
	st.s.lock()
	defer st.s.unlock()
	st.s.scheduleLocked(st)
	return true
}

// run calls the receiver for another reason than an arrival. It is called by the turn.
func (st *Stream) run() {
	s := st.s
	s.mu.Lock()
	st.flags &^= scheduled
	var end error
	switch {
	case st.has(finished):
		s.mu.Unlock()
		return
	case st.has(closed):
		end = net.ErrClosed
	case st.readDeadline.Passed():
		end = os.ErrDeadlineExceeded
	case st.has(paused):
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if end == nil {
		st.callReceiver()
		return
	}
	s.turn.calling = st
	st.receiver.End(end)
	s.turn.calling = nil
	st.finish()
}

// callReceiver calls Readable, which may end the goroutine instead of returning: then the next turn
// finishes the stream.
func (st *Stream) callReceiver() {
	st.s.turn.calling = st
	err := st.receiver.Readable()
	st.s.turn.calling = nil
	if err != nil {
		st.finish()
	}
}

// finish calls Finish after End, or when Readable has returned an error or ended its goroutine.
func (st *Stream) finish() {
	s := st.s
	st.view = nil
	s.mu.Lock()
	st.flags |= finished
	s.mu.Unlock()
	st.receiver.Finish() // doesn't block, since neither Linger nor Close does
	s.lock()
	if st.has(finished) { // else it was pushed again
		st.dropInputLocked()
		st.releaseViewLocked()
	}
	s.unlock()
}

// dropInputLocked drops what has arrived, and gives it back to the peer's window.
func (st *Stream) dropInputLocked() {
	if st.in == nil {
		return
	}
	st.s.refundStreamLocked(st, st.in.drop())
	st.releaseInputLocked()
}

// releaseViewLocked drops the chunk of which the reader had a view. What it has was given back to the
// peer's window.
func (st *Stream) releaseViewLocked() {
	if st.in != nil && st.in.viewed > 0 {
		st.in.viewed = 0
		st.in.drop()
	}
}
