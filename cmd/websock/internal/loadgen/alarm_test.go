package loadgen

import (
	"testing"
	"time"
)

// TestMain makes all tests use timers that testing/synctest knows.
func TestMain(m *testing.M) {
	newAlarm = newTimerAlarm
	m.Run()
}

func TestAlarms(t *testing.T) {
	for name, a := range map[string]alarm{"of the runtime": newTimerAlarm(), "of the system": newSystemAlarm()} {
		t.Run(name, func(t *testing.T) {
			defer a.close()
			const d = 5 * time.Millisecond
			begin := time.Now()
			a.set(time.Hour)
			a.set(d) // in place of the first
			for time.Since(begin) < d {
				a.wait()
			}
			for _, at := range []time.Duration{0, -time.Second} { // at once
				a.set(at)
				a.wait()
			}
			rung := make(chan struct{})
			go func() {
				a.set(time.Hour)
				a.wait()
				close(rung)
			}()
			for {
				a.set(1) // by another goroutine, and before or after the one that waits has set it
				select {
				case <-rung:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}
