package timing

import (
	"sync"
	"time"
)

// Tick is the resolution of a Scheduler: a task is run up to two ticks late.
const Tick = 20 * time.Millisecond

// A Task is run when its time has come.
type Task interface {
	// Run returns the time after which it is to be run again; zero or less: never. It must
	// not block, since all other tasks of the Scheduler wait for it.
	Run() (again time.Duration)
}

// A Scheduler runs tasks, one after another. It has a goroutine only while it does. Its zero
// value is ready to use, and keeps to the clock of the first caller of Add; see NewScheduler. Its
// methods may be called from any goroutine, also from a Run.
type Scheduler struct {
	mu      sync.Mutex
	began   time.Time // tick 0
	wheel   Wheel[entry]
	timer   *time.Timer // of the wheel's next tick; nil until there was one
	running bool        // tasks are being run
	stopped bool
}

// An entry is a task and the tick at which it is due.
type entry struct {
	tick int64
	task Task
}

// NewScheduler returns a Scheduler that keeps to the clock of the caller from now on. One that
// serves the whole process has to be made like this when the process begins: else the first Add
// may be that of a test in a testing/synctest bubble, whose clock stops.
func NewScheduler() *Scheduler { return &Scheduler{began: time.Now()} }

// Add has t run when d has passed. Where the clock is another than the Scheduler's, in a
// testing/synctest bubble, After does it.
func (s *Scheduler) Add(d time.Duration, t Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	if s.began.IsZero() {
		s.began = time.Now()
	}
	if s.otherClock() {
		After(d, t)
		return
	}
	at := time.Since(s.began) + max(d, 0)
	sooner := s.addLocked(entry{int64((at + Tick - 1) / Tick), t})
	if sooner && !s.running {
		s.setTimerLocked()
	}
}

// addLocked puts e in the wheel, and reports whether it is due sooner than all others. An entry
// of a later revolution is taken from the slot of its tick in this revolution already, and added
// again: that spreads the work better than if all were taken from the last slot.
func (s *Scheduler) addLocked(e entry) (sooner bool) {
	now := s.now()
	_, sooner = s.wheel.Add(e, now+1+(e.tick-now-1)%Slots, now)
	return sooner
}

// Stop makes the Scheduler forget all tasks: none is begun any more, and nothing keeps them in
// memory. It doesn't wait for a task that is being run.
func (s *Scheduler) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.wheel = Wheel[entry]{}
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *Scheduler) hasStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// otherClock reports whether the caller has another clock than the Scheduler. That of a bubble
// begins in the year 2000 and shows the time since 1970 where others show that since the machine
// or the process began.
func (s *Scheduler) otherClock() bool {
	const longest = 10 * 365 * 24 * time.Hour // that a process runs
	since := time.Since(s.began)
	return since < 0 || since > longest
}

// now returns the tick that has passed last.
func (s *Scheduler) now() int64 { return int64(time.Since(s.began) / Tick) }

// Len returns how many tasks wait to be run.
func (s *Scheduler) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wheel.Len()
}

// setTimerLocked sets the timer to the next tick that has an entry.
func (s *Scheduler) setTimerLocked() {
	d := time.Duration(s.wheel.Next())*Tick - time.Since(s.began)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.runDue)
	} else {
		s.timer.Reset(d)
	}
}

// runDue runs the tasks whose time has come.
func (s *Scheduler) runDue() {
	s.mu.Lock()
	if s.running || s.stopped { // the timer was set anew while it fired
		s.mu.Unlock()
		return
	}
	s.running = true
	due := s.takeDueLocked()
	s.mu.Unlock()

	for _, e := range due {
		if s.hasStopped() {
			break
		}
		if again := e.task.Run(); again > 0 {
			s.Add(again, e.task)
		}
	}

	s.mu.Lock()
	s.running = false
	if s.wheel.Len() > 0 {
		s.setTimerLocked()
	}
	s.mu.Unlock()
}

// takeDueLocked takes the entries that are due from the wheel. Those of a later revolution go
// back to it.
func (s *Scheduler) takeDueLocked() (due []entry) {
	now := s.now()
	s.wheel.Take(now, func(e entry, _ Place) {
		if e.tick <= now {
			due = append(due, e)
		} else {
			s.addLocked(e)
		}
	})
	return due
}

// After runs t when d has passed, by a timer and in a goroutine of its own. It serves tasks that
// may block, which would hold up all others of a Scheduler. And it keeps to the clock of a
// testing/synctest bubble, which a Scheduler that outlives the bubble doesn't know.
func After(d time.Duration, t Task) {
	time.AfterFunc(d, func() {
		if again := t.Run(); again > 0 {
			After(again, t)
		}
	})
}
