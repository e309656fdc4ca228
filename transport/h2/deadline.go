package h2

import (
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

// clock checks the deadlines of all streams, and keeps Sessions alive.
var clock = timing.NewScheduler()

// SetReadDeadline is that of net.Conn. After Close and Linger it returns net.ErrClosed.
func (st *Stream) SetReadDeadline(t time.Time) error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.has(closed | lingering) {
		return net.ErrClosed
	}
	st.readDeadline = timing.InstantOf(t)
	if st.has(pushed) {
		st.scheduleDeadlineLocked()
	} else if st.in != nil {
		st.in.waiter.Wake()
	}
	return nil
}

// SetWriteDeadline is that of net.Conn, also for what is queued.
func (st *Stream) SetWriteDeadline(t time.Time) error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.has(closed) {
		return net.ErrClosed
	}
	st.writeDeadline = timing.InstantOf(t)
	st.scheduleDeadlineLocked()
	if st.out != nil {
		st.out.broadcast() // calls of Drain keep the deadline
	}
	return nil
}

// scheduleDeadlineLocked has the deadlines checked when the next of them passes. A goroutine that reads
// keeps the read deadline itself.
func (st *Stream) scheduleDeadlineLocked() {
	at := st.nextDeadlineLocked()
	if at == 0 || st.checkAt != 0 && st.checkAt <= at {
		return
	}
	st.checkAt = at
	clock.Add(time.Duration(at-timing.Now()), (*deadlineTask)(st))
}

func (st *Stream) nextDeadlineLocked() (at timing.Instant) {
	if st.has(closed) {
		return 0
	}
	if st.has(pushed|lingering) && !st.has(finished) || st.has(lingering) {
		at = st.readDeadline
	}
	if st.queuedLocked() > 0 && st.writeDeadline != 0 && (at == 0 || st.writeDeadline < at) {
		at = st.writeDeadline
	}
	return at
}

// A deadlineTask is a Stream whose deadlines are checked.
type deadlineTask Stream

// Run makes a deadlineTask a timing.Task.
func (t *deadlineTask) Run() (again time.Duration) {
	st := (*Stream)(t)
	s := st.s
	s.lock()
	defer s.unlock()
	if st.checkAt == 0 || !st.checkAt.Passed() { // it was checked, or is checked by another task
		return 0
	}
	st.checkAt = 0
	if s.turn.owner != 0 && st.has(pushed) && !st.has(lingering) { // a Handler that takes long may set other deadlines when it returns
		s.overdue = append(s.overdue, st)
		return 0
	}
	st.checkDeadlinesLocked()
	return 0
}

// checkDeadlinesLocked acts on deadlines that have passed.
func (st *Stream) checkDeadlinesLocked() {
	if st.queuedLocked() > 0 && st.writeDeadline.Passed() {
		st.sendingFailedLocked(os.ErrDeadlineExceeded)
	}
	switch {
	case !st.readDeadline.Passed(), st.has(closed):
	case st.has(lingering):
		if st.lingersForAnswer() {
			st.endWriteLocked()
		}
		st.closeLocked(os.ErrDeadlineExceeded)
		st.s.commitLocked()
	case st.has(pushed):
		st.s.scheduleLocked(st)
		return
	}
	st.scheduleDeadlineLocked()
}
