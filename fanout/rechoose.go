package fanout

import (
	"log/slog"
	"sync"
	"time"
)

// rechoosePause is the time between two looks at all attempts that wait, at least. If thousands of
// Targets fail one after another, a look for each of them would take all the time there is. Attempts
// that begin meanwhile look for themselves.
const rechoosePause = time.Second

// A rechooser has the slots choose again that wait for their turn to connect to a Target that is not
// the best one any more.
type rechooser struct {
	group *Group

	mu      sync.Mutex
	last    time.Time // when the last look began
	planned bool      // the scheduler will call Run
}

// request has all attempts looked at that wait, now or soon.
func (r *rechooser) request() {
	if r.begin() {
		r.look()
	}
}

// begin reports whether a look may begin now. Otherwise one is planned.
func (r *rechooser) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.planned {
		return false
	}
	if wait := rechoosePause - now.Sub(r.last); wait > 0 {
		r.planned = true
		r.group.scheduler.Add(wait, r)
		return false
	}
	r.last = now
	return true
}

// Run makes a rechooser a timing.Task.
func (r *rechooser) Run() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.planned, r.last = false, time.Now()
	r.group.addRunning()
	go func() { // a Logger may block
		defer r.group.doneRunning()
		r.look()
	}()
	return 0
}

func (r *rechooser) look() {
	for _, a := range r.group.dials.stale(r.group.memory.isStale) {
		a.rechoose()
	}
}

// rechoose is called when a Target is avoided from now on, or no longer.
func (g *Group) rechoose(t *targetState, err error) {
	if err == nil {
		g.log(slog.LevelInfo, "target works again", slog.String("host", t.host))
	} else {
		g.log(slog.LevelWarn, "target is avoided", slog.String("host", t.host), slog.Any("error", err))
	}
	g.rechooser.request()
}

// rechoose has the slot choose again, unless the attempt has begun.
func (a *attempt) rechoose() {
	s := a.slot
	s.mu.Lock()
	again := s.attempt == a && s.handleLocked(eventRechoose)
	if again {
		s.attempt = nil
	}
	s.mu.Unlock()
	if again {
		s.group.dials.remove(a)
	}
}

// isStale reports whether an attempt that has not begun had better connect to another Target.
func (m *targetMemory) isStale(a *attempt) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return a.set != nil && a.set.isStaleLocked(a.choice, a.slot.Number(), time.Now())
}
