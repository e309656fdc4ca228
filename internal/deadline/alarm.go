package deadline

import (
	"sync"
	"time"
)

// An alarm rings at its time, and goes on ringing until it is set anew.
type alarm struct {
	mu    sync.Mutex
	timer *time.Timer
	rung  chan struct{} // closed while it rings
}

// set sets the time; zero means never.
func (a *alarm) set(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil && !a.timer.Stop() {
		<-a.rung // it is ringing, or is about to
	}
	a.timer = nil
	if a.rings() {
		a.rung = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	rung := a.rung
	if wait := time.Until(t); wait > 0 {
		a.timer = time.AfterFunc(wait, func() { close(rung) })
		return
	}
	close(rung)
}

func (a *alarm) rings() bool {
	select {
	case <-a.rung:
		return true
	default:
		return false
	}
}

// wait returns what is closed while the alarm rings.
func (a *alarm) wait() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rung
}
