//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

// deadlines keeps the deadlines of all connections of the process, which netpoll's pollers don't
// do.
var deadlines = timing.NewScheduler()

// maxCheckInterval is the longest time until a connection's deadline is checked, so that a deadline
// far away doesn't keep a closed connection in memory.
const maxCheckInterval = 10 * time.Second

// SetReadDeadline sets the time at which View and Read, also those under way, return
// os.ErrDeadlineExceeded if there are no bytes; the zero time means never. A Receiver's End is
// called then. After Close and Linger it returns net.ErrClosed.
func (t *Conn) SetReadDeadline(deadline time.Time) error {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.state != stateOpen {
		return net.ErrClosed
	}
	i.deadline = deadline
	i.changed.broadcast()
	t.checkByLocked(deadline)
	return nil
}

// checkByLocked schedules a check of the deadline at the given time, or earlier. Moving a deadline
// into the future costs nothing until then.
func (t *Conn) checkByLocked(at time.Time) {
	i := &t.in
	if at.IsZero() || !i.checkAt.IsZero() && !at.Before(i.checkAt) {
		return
	}
	i.checkAt = time.Now().Add(min(time.Until(at), maxCheckInterval))
	deadlines.Add(time.Until(i.checkAt), (*deadlineTask)(t))
}

// A deadlineTask is the timing.Task that checks a Conn's deadline.
type deadlineTask Conn

// Run makes a deadlineTask a timing.Task.
func (d *deadlineTask) Run() time.Duration {
	if t := (*Conn)(d); t.checkDeadline() {
		t.Close()
	}
	return 0
}

// checkDeadline acts on a deadline that has passed, and reports whether the connection has to be
// closed since its time to linger is over.
func (t *Conn) checkDeadline() (mustClose bool) {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.state == stateClosed || !passed(i.checkAt) { // it was checked earlier
		return false
	}
	i.checkAt = time.Time{}
	i.changed.broadcast()
	switch {
	case !passed(i.deadline):
		t.checkByLocked(i.deadline)
	case i.state == stateLingering:
		i.lingerErr = os.ErrDeadlineExceeded
		return true
	default:
		t.scheduleLocked()
	}
	return false
}

func passed(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// SetWriteDeadline sets the time at which Writev fails, and at which queued bytes fail; the zero
// time means never. After Close it returns net.ErrClosed.
func (t *Conn) SetWriteDeadline(deadline time.Time) error {
	o := &t.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == net.ErrClosed {
		return net.ErrClosed
	}
	o.deadline = deadline
	if o.writer != nil {
		o.file.SetWriteDeadline(deadline)
	}
	return nil
}
