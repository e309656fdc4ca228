package loadgen

import "time"

// An alarm wakes a goroutine at a time.
type alarm interface {
	// set sets the alarm, in place of any other time.
	set(after time.Duration)

	// wait waits for the alarm. It may also return early.
	wait()

	close()
}

// newAlarm returns the most precise alarm that the system has.
var newAlarm = newSystemAlarm

// A timerAlarm is an alarm with a timer of the runtime.
type timerAlarm struct{ timer *time.Timer }

func newTimerAlarm() alarm { return timerAlarm{time.NewTimer(0)} }

func (a timerAlarm) set(after time.Duration) { a.timer.Reset(after) }
func (a timerAlarm) wait()                   { <-a.timer.C }
func (a timerAlarm) close()                  { a.timer.Stop() }
