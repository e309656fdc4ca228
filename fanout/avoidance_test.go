package fanout

import (
	"testing"
	"time"
)

func TestATimeOfAvoidanceDoublesWithEachAttemptInVain(t *testing.T) {
	times := avoidTimes{first: time.Second, most: 5 * time.Second}
	var a avoidance
	now := time.Now()
	fail := func() { a.fail(now, times) }
	try := func() { a.try(now, times) }
	succeed := func() { a.succeed(now) }
	for i, step := range []struct {
		after time.Duration
		do    func()
		left  time.Duration // until it is tried again
		works bool
	}{
		{0, try, 0, true},
		{0, succeed, 0, true},
		{0, fail, time.Second, false},
		{0, fail, time.Second, false}, // attempts that were under way
		{100 * time.Millisecond, fail, time.Second, false},
		{500 * time.Millisecond, try, 500 * time.Millisecond, false}, // by somebody who has no choice
		{500 * time.Millisecond, try, 2 * time.Second, false},
		{500 * time.Millisecond, fail, 2 * time.Second, false},
		{2 * time.Second, try, 4 * time.Second, false}, // an attempt that is never heard of again
		{4 * time.Second, try, 5 * time.Second, false},
		{5 * time.Second, try, 5 * time.Second, false},
		{time.Second, succeed, 0, true},
		{5 * time.Second, fail, 5 * time.Second, false}, // soon
		{time.Second, succeed, 0, true},
		{5*time.Second + 1, fail, time.Second, false},
		{time.Millisecond, succeed, 0, true},
		{time.Millisecond, fail, 2 * time.Second, false},
	} {
		now = now.Add(step.after)
		step.do()
		if left := max(a.until.Sub(now), 0); left != step.left || a.active(now) != (left > 0) || a.works() != step.works {
			t.Fatalf("step %d: avoided for %v, works %v; want %v, %v", i, left, a.works(), step.left, step.works)
		}
	}
}

func TestTimesOfAvoidanceAreBounded(t *testing.T) {
	for step, want := range map[uint8]time.Duration{0: 1, 1: 2, 2: 3, 255: 3} {
		if d := (avoidTimes{1, 3}).after(step); d != want {
			t.Errorf("step %d: %v, want %v", step, d, want)
		}
	}
	if d := (avoidTimes{7, 3}).after(0); d != 3 {
		t.Errorf("%v exceeds the bound", d)
	}
}
