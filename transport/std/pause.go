package std

import (
	"os"
	"time"
)

// Pause holds up the goroutine that pushes until Resume.
func (t *Conn) Pause() {
	t.again.Store(true) // what it leaves may be out of our sight, in a tls.Conn
	t.paused.Store(true)
}

// Resume ends what Pause began.
func (t *Conn) Resume() {
	t.again.Store(true) // who pumps may have seen that of Pause before there was something left
	t.paused.Store(false)
	t.deadlines.Lock()
	t.nudge()
	t.deadlines.Unlock()
}

// Yield has the receiver called again before anything else is read.
func (t *Conn) Yield() bool {
	t.again.Store(true)
	return true
}

// nudge makes a pump that is paused look again. The lock of the deadlines is held.
func (t *Conn) nudge() {
	select {
	case t.resumed <- struct{}{}:
	default: // nobody is paused, or will look anyway
	}
}

// heldUp reports whether the pump has to wait.
func (t *Conn) heldUp() bool { return t.paused.Load() && !t.isClosed() }

// pause waits until the receiver wants more, or is to be told the end.
func (p *pump) pause() {
	for p.t.heldUp() {
		if !p.waitForNudge() {
			p.end(os.ErrDeadlineExceeded)
			return
		}
	}
}

// waitForNudge returns false when the read deadline has passed.
func (p *pump) waitForNudge() bool {
	t := p.t
	t.deadlines.Lock()
	if t.resumed == nil {
		t.resumed = make(chan struct{}, 1)
	}
	deadline, heldUp := t.deadline, t.heldUp()
	t.deadlines.Unlock()
	switch {
	case !heldUp: // the nudge may have come before the channel
		return true
	case deadline.IsZero():
		<-t.resumed
		return true
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-t.resumed:
		return true
	case <-timer.C:
		return !t.heldUp()
	}
}
