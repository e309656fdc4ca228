package member

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheTimeInWhichTheSystemWasSuspendedCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, suspended, reads := time.Now(), time.Hour, 0
		c := newBoottime(start, func() (time.Duration, bool) {
			reads++
			return time.Since(start) + suspended, true
		})
		check := func(want time.Duration) {
			t.Helper()
			if got := c.Now() - time.Since(start); got != want {
				t.Errorf("the clock is ahead of Go's by %v, not %v", got, want)
			}
		}
		check(time.Hour)
		for range 100 {
			check(time.Hour)
		}
		if reads != 1 {
			t.Errorf("the system's clock was read %d times at once", reads)
		}
		suspended += time.Minute
		check(time.Hour)
		time.Sleep(boottimeEvery)
		check(time.Hour + time.Minute)
		suspended -= time.Second // as if the process was stopped after the system's clock was read
		time.Sleep(boottimeEvery)
		check(time.Hour + time.Minute)
		suspended += time.Hour
		time.Sleep(boottimeEvery)
		check(2*time.Hour + time.Minute - time.Second)
	})
}

func TestTheSystemClockNeverGoesBack(t *testing.T) {
	c := systemClock()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for last, i := c.Now(), 0; i < 50_000; i++ {
				now := c.Now()
				if now < last {
					t.Errorf("it went back by %v", last-now)
					return
				}
				last = now
			}
		})
	}
	wait.Wait()
}
