package timing

import (
	"testing"
	"time"
)

func TestAWaiterReturnsAfterWake(t *testing.T) {
	var w Waiter
	w.Wake() // nobody can wait yet
	w.Init()
	go w.Wake()
	w.Wait(0)
	w.Wake() // before Wait
	w.Wait(Now() + Instant(time.Hour))
}

func TestAWaiterReturnsAtItsTime(t *testing.T) {
	var w Waiter
	w.Init()
	for range 3 {
		until := Now() + Instant(time.Millisecond)
		w.Wait(until)
		if !until.Passed() {
			t.Error("it returned before")
		}
	}
	w.Wait(1) // long ago
}
