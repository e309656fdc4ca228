package timing

import "time"

// A Waiter lets one goroutine wait until another wakes it, or until a time. It has nothing before Init.
type Waiter struct {
	signal chan struct{} // has an element if Wake was called
	timer  *time.Timer   // wakes at the time; nil: there was none yet
}

// Init prepares for Wait, if that is necessary. No other method may be called meanwhile.
func (w *Waiter) Init() {
	if w.signal == nil {
		w.signal = make(chan struct{}, 1)
	}
}

// IsUsed reports whether Init was called.
func (w *Waiter) IsUsed() bool { return w.signal != nil }

// Wake makes Wait return: the one under way, or else the next. It may be called from any goroutine, also
// before Init, when it does nothing.
func (w *Waiter) Wake() {
	select {
	case w.signal <- struct{}{}:
	default: // Wait will return already, or nobody has waited yet
	}
}

// Wait returns after Wake, or when until has passed; 0: never.
func (w *Waiter) Wait(until Instant) {
	if until == 0 {
		<-w.signal
		return
	}
	timeout := time.Duration(until - Now())
	if w.timer == nil {
		w.timer = time.AfterFunc(timeout, w.Wake)
	} else {
		w.timer.Reset(timeout)
	}
	<-w.signal
	w.timer.Stop()
}
