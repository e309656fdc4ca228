package member

import (
	"testing"
	"time"
)

func TestClocksGoForward(t *testing.T) {
	for name, clock := range map[string]Clock{"system": systemClock(), "monotonic": Monotonic()} {
		start := time.Now()
		before := clock.Now()
		time.Sleep(20 * time.Millisecond)
		took, real := clock.Now()-before, time.Since(start)
		if took < 20*time.Millisecond-time.Millisecond || took > real+time.Second {
			t.Errorf("the %s clock went by %v in %v", name, took, real)
		}
	}
}
