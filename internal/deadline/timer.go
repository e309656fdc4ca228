package deadline

import (
	"sync"
	"time"
)

// A timer expires at its time, and stays expired until it is set again.
type timer struct {
	mu    sync.Mutex
	timer *time.Timer
	c     chan struct{} // closed while the timer is expired
}

func newTimer() timer { return timer{c: make(chan struct{})} }

// set sets the time; the zero time means never.
func (t *timer) set(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil && !t.timer.Stop() {
		<-t.c // its function has closed c, or is about to
	}
	t.timer = nil
	if t.expiredLocked() {
		t.c = make(chan struct{})
	}
	if at.IsZero() {
		return
	}
	c := t.c
	if wait := time.Until(at); wait > 0 {
		t.timer = time.AfterFunc(wait, func() { close(c) })
		return
	}
	close(c)
}

func (t *timer) expiredLocked() bool {
	select {
	case <-t.c:
		return true
	default:
		return false
	}
}

// expired returns a channel that is closed while the timer is expired.
func (t *timer) expired() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.c
}
