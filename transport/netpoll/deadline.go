//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

// deadlines look after the deadlines of all connections of the process: netpoll's pollers
// know of none.
var deadlines = timing.NewScheduler()

// patience is the longest time until a connection is looked at again, so that one that is
// closed doesn't stay in memory for the sake of a deadline.
const patience = 10 * time.Second

// SetReadDeadline sets the time after which View and Read, also those under way,
// return os.ErrDeadlineExceeded if no bytes are there; the zero time means never.
// A Receiver is told its End then. After Close and Linger it returns net.ErrClosed.
func (t *Conn) SetReadDeadline(deadline time.Time) error {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over {
		return net.ErrClosed
	}
	i.deadline = deadline
	i.parked.wake()
	t.lookBy(deadline)
	return nil
}

// lookBy has the connection looked at at a time, or earlier. A deadline that moves on costs
// nothing until then. The lock is held.
func (t *Conn) lookBy(at time.Time) {
	i := &t.in
	if at.IsZero() || !i.look.IsZero() && !at.Before(i.look) {
		return
	}
	i.look = time.Now().Add(min(time.Until(at), patience))
	deadlines.Add(time.Until(i.look), (*deadlineTask)(t))
}

// A deadlineTask does what is due for a Conn. It is a timing.Task.
type deadlineTask Conn

// Run makes a deadlineTask a timing.Task.
func (d *deadlineTask) Run() time.Duration {
	if t := (*Conn)(d); t.lookNow() {
		t.Close()
	}
	return 0
}

// lookNow tells of a deadline that has passed, and reports whether the connection has to be
// closed since it has lingered for long enough.
func (t *Conn) lookNow() (mustClose bool) {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || !passed(i.look) { // it was looked at earlier
		return false
	}
	i.look = time.Time{}
	i.parked.wake()
	switch {
	case !passed(i.deadline):
		t.lookBy(i.deadline)
	case i.lingering:
		i.unsettled = os.ErrDeadlineExceeded
		return true
	default:
		t.call()
	}
	return false
}

func passed(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// SetWriteDeadline sets the time after which Writev fails, and the connection with
// it if bytes are queued then; the zero time means never. After Close it returns
// net.ErrClosed.
func (t *Conn) SetWriteDeadline(deadline time.Time) error { return t.out.setDeadline(deadline) }

func (o *output) setDeadline(deadline time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == net.ErrClosed {
		return net.ErrClosed
	}
	o.deadline = deadline
	if o.backlog != nil {
		o.file.SetWriteDeadline(deadline)
	}
	return nil
}
