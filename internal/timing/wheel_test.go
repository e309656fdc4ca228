package timing

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A visitor notes when it is visited.
type visitor struct {
	mu    sync.Mutex
	at    []time.Time
	again []time.Duration
}

func (v *visitor) Visit() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = append(v.at, time.Now())
	if len(v.again) == 0 {
		return 0
	}
	d := v.again[0]
	v.again = v.again[1:]
	return d
}

func (v *visitor) visits() []time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at
}

// A case's times are those of the bubble's clock, which stands still while anything runs.
func TestVisitsAreMadeWhenTheirTimeHasComeAndAtMostTwoTicksLater(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, 1, Tick - 1, Tick, time.Second, slots * Tick, slots*Tick + 1, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var w Wheel
			w.Add(0, &visitor{})
			time.Sleep(Tick * 5 / 3) // not at the beginning of a tick
			v := &visitor{}
			start := time.Now()
			w.Add(d, v)
			time.Sleep(2 * time.Hour)
			at := v.visits()
			if len(at) != 1 {
				t.Fatalf("%v: %d visits", d, len(at))
			}
			if late := at[0].Sub(start) - max(d, 0); late < 0 || late > 2*Tick {
				t.Errorf("%v: late by %v", d, late)
			}
			if w.Len() != 0 {
				t.Error("something is left")
			}
		})
	}
}

func TestWhoWantsToBeVisitedAgainIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Wheel
		v := &visitor{again: []time.Duration{time.Minute, time.Second, 0}}
		start := time.Now()
		w.Add(time.Second, v)
		time.Sleep(time.Hour)
		want := []time.Duration{time.Second, 61 * time.Second, 62 * time.Second}
		at := v.visits()
		if len(at) != len(want) {
			t.Fatal(at)
		}
		for i := range at {
			if late := at[i].Sub(start) - want[i]; late < 0 || late > time.Duration(i+1)*2*Tick {
				t.Errorf("visit %d: late by %v", i, late)
			}
		}
	})
}

func TestAnEarlierVisitIsNotHeldUpByALaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Wheel
		late, soon := &visitor{}, &visitor{}
		w.Add(time.Minute, late)
		time.Sleep(time.Second)
		w.Add(time.Second, soon)
		time.Sleep(2 * time.Second)
		if len(soon.visits()) != 1 || len(late.visits()) != 0 {
			t.Errorf("%d and %d visits", len(soon.visits()), len(late.visits()))
		}
		time.Sleep(time.Minute)
		if len(late.visits()) != 1 {
			t.Error("the later one was forgotten")
		}
	})
}

// adder adds another while it is visited.
type adder struct {
	w *Wheel
	v *visitor
}

func (a adder) Visit() time.Duration {
	a.w.Add(0, a.v)
	return 0
}

func TestAVisitCanAddAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Wheel
		v := &visitor{}
		w.Add(0, adder{&w, v})
		time.Sleep(time.Second)
		if len(v.visits()) != 1 {
			t.Error(v.visits())
		}
	})
}

func TestManyAtOnceFromManyGoroutines(t *testing.T) {
	var w Wheel
	var all [8][200]visitor
	var adders sync.WaitGroup
	for i := range all {
		adders.Go(func() {
			for j := range all[i] {
				all[i][j].again = []time.Duration{time.Duration(j) * time.Millisecond / 4}
				w.Add(time.Duration(i)*10*time.Millisecond, &all[i][j])
			}
		})
	}
	adders.Wait()
	for deadline := time.Now().Add(time.Minute); w.Len() > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(2 * Tick) // the visits of the last slot
	for i := range all {
		for j := range all[i] {
			want := 2
			if j == 0 { // which asked for none
				want = 1
			}
			if n := len(all[i][j].visits()); n != want {
				t.Fatalf("%d, %d: %d visits", i, j, n)
			}
		}
	}
}

func TestAWheelThatWasStoppedVisitsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Wheel
		first, second := &stopping{wheel: &w}, &visitor{again: []time.Duration{time.Second}}
		w.Add(time.Second, first)
		w.Add(time.Second, second)
		w.Add(time.Hour, second)
		time.Sleep(time.Minute)
		w.Add(time.Second, second)
		time.Sleep(2 * time.Hour)
		if n := len(second.visits()); n != 0 || w.Len() != 0 {
			t.Errorf("%d visits, and %d to come", n, w.Len())
		}
	})
}

// A stopping visitor stops its wheel.
type stopping struct{ wheel *Wheel }

func (s *stopping) Visit() time.Duration {
	s.wheel.Stop()
	return time.Second
}

// A wheel of the whole process makes the visits of a bubble by the bubble's clock, and goes on
// afterwards.
func TestAWheelOfTheProcessServesBubblesToo(t *testing.T) {
	w := New()
	w.Add(time.Hour, &visitor{})
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			v := &visitor{again: []time.Duration{time.Minute}}
			start := time.Now()
			w.Add(time.Second, v)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			at := v.visits()
			if len(at) != 2 || at[0].Sub(start) != time.Second || at[1].Sub(start) != 61*time.Second {
				t.Errorf("visits at %v", at)
			}
		})
	}
	v := &visitor{}
	w.Add(Tick, v)
	for deadline := time.Now().Add(10 * time.Second); len(v.visits()) == 0; time.Sleep(Tick) {
		if time.Now().After(deadline) {
			t.Fatal("the wheel stands still after the bubbles")
		}
	}
	w.Stop()
}

// Nor does a wheel that began in a bubble fail outside of it.
func TestAWheelThatBeganInABubbleServesOthersToo(t *testing.T) {
	var w Wheel
	synctest.Test(t, func(*testing.T) { w.Add(time.Hour, &visitor{}) })
	v := &visitor{}
	w.Add(0, v)
	for deadline := time.Now().Add(10 * time.Second); len(v.visits()) == 0; time.Sleep(Tick) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is visited")
		}
	}
}
