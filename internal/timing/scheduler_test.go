package timing

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A recorder is a task that notes when it is run.
type recorder struct {
	mu    sync.Mutex
	at    []time.Time
	again []time.Duration
}

func (r *recorder) Run() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = append(r.at, time.Now())
	if len(r.again) == 0 {
		return 0
	}
	d := r.again[0]
	r.again = r.again[1:]
	return d
}

func (r *recorder) runs() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// A case's times are those of the bubble's clock, which stands still while anything runs.
func TestTaskIsRunAtItsTimeAndAtMostTwoTicksLater(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, 1, Tick - 1, Tick, time.Second, Slots * Tick, Slots*Tick + 1, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var s Scheduler
			s.Add(0, &recorder{})
			time.Sleep(Tick * 5 / 3) // not at the beginning of a tick
			r := &recorder{}
			start := time.Now()
			s.Add(d, r)
			time.Sleep(2 * time.Hour)
			at := r.runs()
			if len(at) != 1 {
				t.Fatalf("%v: %d runs", d, len(at))
			}
			if late := at[0].Sub(start) - max(d, 0); late < 0 || late > 2*Tick {
				t.Errorf("%v: late by %v", d, late)
			}
			if s.Len() != 0 {
				t.Error("something is left")
			}
		})
	}
}

func TestTasksOfLaterRevolutionsAreRunAtTheirTick(t *testing.T) {
	for _, ticks := range []time.Duration{1, Slots - 2, Slots - 1, Slots, Slots + 1, 2*Slots - 1, 2 * Slots, 7 * Slots} {
		synctest.Test(t, func(t *testing.T) {
			var s Scheduler
			r := &recorder{}
			start := time.Now()
			s.Add(ticks*Tick, r)
			time.Sleep(time.Hour)
			if at := r.runs(); len(at) != 1 || at[0].Sub(start) != ticks*Tick {
				t.Errorf("%d ticks: run at %v", ticks, at)
			}
		})
	}
}

func TestTaskIsRunAgainAfterTheTimeItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scheduler
		r := &recorder{again: []time.Duration{time.Minute, time.Second, 0}}
		start := time.Now()
		s.Add(time.Second, r)
		time.Sleep(time.Hour)
		want := []time.Duration{time.Second, 61 * time.Second, 62 * time.Second}
		at := r.runs()
		if len(at) != len(want) {
			t.Fatal(at)
		}
		for i := range at {
			if late := at[i].Sub(start) - want[i]; late < 0 || late > time.Duration(i+1)*2*Tick {
				t.Errorf("run %d: late by %v", i, late)
			}
		}
	})
}

func TestTaskAddedLaterButDueSoonerIsRunInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scheduler
		late, soon := &recorder{}, &recorder{}
		s.Add(time.Minute, late)
		time.Sleep(time.Second)
		s.Add(time.Second, soon)
		time.Sleep(2 * time.Second)
		if len(soon.runs()) != 1 || len(late.runs()) != 0 {
			t.Errorf("%d and %d runs", len(soon.runs()), len(late.runs()))
		}
		time.Sleep(time.Minute)
		if len(late.runs()) != 1 {
			t.Error("the later task was forgotten")
		}
	})
}

// An adder is a task that adds another.
type adder struct {
	scheduler *Scheduler
	task      *recorder
}

func (a adder) Run() time.Duration {
	a.scheduler.Add(0, a.task)
	return 0
}

func TestTaskCanAddAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scheduler
		r := &recorder{}
		s.Add(0, adder{&s, r})
		time.Sleep(time.Second)
		if len(r.runs()) != 1 {
			t.Error(r.runs())
		}
	})
}

func TestTasksAddedByManyGoroutinesAreAllRun(t *testing.T) {
	var s Scheduler
	var all [8][200]recorder
	var adders sync.WaitGroup
	for i := range all {
		adders.Go(func() {
			for j := range all[i] {
				all[i][j].again = []time.Duration{time.Duration(j) * time.Millisecond / 4}
				s.Add(time.Duration(i)*10*time.Millisecond, &all[i][j])
			}
		})
	}
	adders.Wait()
	isIdle := func() bool { // and the tasks of the last slot have been run
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.running
	}
	for deadline := time.Now().Add(time.Minute); (s.Len() > 0 || !isIdle()) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	for i := range all {
		for j := range all[i] {
			want := 2
			if j == 0 { // which asked for none
				want = 1
			}
			if n := len(all[i][j].runs()); n != want {
				t.Fatalf("%d, %d: %d runs", i, j, n)
			}
		}
	}
}

func TestStoppedSchedulerRunsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scheduler
		first, second := &stopper{scheduler: &s}, &recorder{again: []time.Duration{time.Second}}
		s.Add(time.Second, first)
		s.Add(time.Second, second)
		s.Add(time.Hour, second)
		time.Sleep(time.Minute)
		s.Add(time.Second, second)
		time.Sleep(2 * time.Hour)
		if n := len(second.runs()); n != 0 || s.Len() != 0 {
			t.Errorf("%d runs, and %d to come", n, s.Len())
		}
	})
}

// A stopper is a task that stops its Scheduler.
type stopper struct{ scheduler *Scheduler }

func (s *stopper) Run() time.Duration {
	s.scheduler.Stop()
	return time.Second
}

// In a testing/synctest bubble, a Scheduler made outside keeps to the bubble's clock. Afterwards it
// still works outside.
func TestSchedulerMadeOutsideABubbleWorksInsideToo(t *testing.T) {
	s := NewScheduler()
	s.Add(time.Hour, &recorder{})
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{again: []time.Duration{time.Minute}}
			start := time.Now()
			s.Add(time.Second, r)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			at := r.runs()
			if len(at) != 2 || at[0].Sub(start) != time.Second || at[1].Sub(start) != 61*time.Second {
				t.Errorf("runs at %v", at)
			}
		})
	}
	r := &recorder{}
	s.Add(Tick, r)
	for deadline := time.Now().Add(time.Minute); len(r.runs()) == 0; time.Sleep(Tick) {
		if time.Now().After(deadline) {
			t.Fatal("no task is run after the bubbles")
		}
	}
	s.Stop()
}

func TestSchedulerFirstUsedInABubbleWorksOutsideToo(t *testing.T) {
	var s Scheduler
	synctest.Test(t, func(*testing.T) { s.Add(time.Hour, &recorder{}) })
	r := &recorder{}
	s.Add(0, r)
	for deadline := time.Now().Add(time.Minute); len(r.runs()) == 0; time.Sleep(Tick) {
		if time.Now().After(deadline) {
			t.Fatal("no task is run")
		}
	}
}

// A repeater is a task that is run a number of times, a minute apart.
type repeater struct {
	left int
	at   []time.Duration
	from time.Time
}

func (r *repeater) Run() time.Duration {
	r.at = append(r.at, time.Since(r.from))
	r.left--
	if r.left == 0 {
		return 0
	}
	return time.Minute
}

func TestAfterKeepsToTheClockOfABubble(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			r := &repeater{left: 2, from: time.Now()}
			After(time.Second, r)
			After(time.Hour, &repeater{left: 1}) // outlives the bubble
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			if len(r.at) != 2 || r.at[0] != time.Second || r.at[1] != time.Minute+time.Second {
				t.Errorf("%v", r.at)
			}
		})
	}
}
