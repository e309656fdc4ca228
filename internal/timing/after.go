package timing

import "time"

// After makes v be visited when d has passed, by a timer of its own and in a goroutine of its
// own. It serves visits that may have to wait, which would hold up all others of a Wheel. And it
// keeps to the clock of a testing/synctest bubble, which a Wheel that outlives it doesn't know.
func After(d time.Duration, v Visitor) {
	time.AfterFunc(d, func() {
		if again := v.Visit(); again > 0 {
			After(again, v)
		}
	})
}
