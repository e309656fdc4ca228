package timing

import (
	"math/rand/v2"
	"testing"
)

// taken lets all ticks up to now pass and returns the items that are taken.
func taken[T any](w *Wheel[T], now int64) (items []T) {
	w.Take(now, func(item T, _ Place) { items = append(items, item) })
	return items
}

func TestItemIsTakenAtItsTickOrInTheLastSlot(t *testing.T) {
	const now = 12345
	for _, test := range []struct {
		name       string
		tick, want int64
	}{
		{"long ago", now - 1000, now},
		{"the present tick", now, now},
		{"the next tick", now + 1, now + 1},
		{"the last slot", now + Slots - 2, now + Slots - 2},
		{"beyond it", now + Slots - 1, now + Slots - 2},
		{"a revolution ahead", now + Slots, now + Slots - 2},
		{"for ever", 1<<63 - 1, now + Slots - 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			var w Wheel[string]
			at, sooner := w.Add("item", test.tick, now)
			if !sooner || w.Len() != 1 || w.TickOf(at) != test.want || w.Next() != test.want {
				t.Fatalf("sooner %v, length %d, due at %d, next %d; want %d", sooner, w.Len(), w.TickOf(at), w.Next(), test.want)
			}
			if early := taken(&w, test.want-1); len(early) != 0 {
				t.Error("it is taken too early")
			}
			if got := taken(&w, test.want); len(got) != 1 || w.Len() != 0 {
				t.Errorf("%d taken, %d left", len(got), w.Len())
			}
		})
	}
}

func TestAddReportsWhatIsDueSooner(t *testing.T) {
	var w Wheel[int]
	for i, step := range []struct {
		tick   int64
		sooner bool
	}{{50, true}, {50, false}, {60, false}, {49, true}, {1, true}, {2, false}} {
		if _, sooner := w.Add(i, step.tick, 1); sooner != step.sooner {
			t.Errorf("tick %d: %v", step.tick, sooner)
		}
	}
}

func TestAllSlotsAreTakenAfterALongSleep(t *testing.T) {
	var w Wheel[int]
	for tick := range int64(Slots - 1) {
		w.Add(0, tick, 0)
	}
	if got := taken(&w, 1<<50); len(got) != Slots-1 || w.Len() != 0 {
		t.Errorf("%d taken, %d left", len(got), w.Len())
	}
	if at, sooner := w.Add(0, 1<<50+7, 1<<50); !sooner || w.TickOf(at) != 1<<50+7 {
		t.Error("the wheel doesn't go on at the present tick")
	}
}

func TestItemsCanBeAddedWhileOthersAreTaken(t *testing.T) {
	var w Wheel[int]
	w.Add(0, 1, 0)
	for now := int64(1); now < 3*Slots; now++ {
		n := 0
		w.Take(now, func(item int, _ Place) {
			n++
			w.Add(item, now+1, now)
		})
		if n != 1 || w.Len() != 1 || w.Next() != now+1 {
			t.Fatalf("tick %d: %d taken, %d left, next %d", now, n, w.Len(), w.Next())
		}
	}
}

// Whatever is added, every entry is taken once, at the tick that Add has announced, and Next never
// comes too late for one.
func TestWheelAtRandom(t *testing.T) {
	var w Wheel[int]
	var now int64
	due := map[int]int64{}
	for i := range 20000 {
		if rand.IntN(3) == 0 {
			now += rand.Int64N(20)
		}
		if rand.IntN(2) == 0 {
			at, _ := w.Add(i, now+rand.Int64N(2*Slots)-5, now)
			due[i] = w.TickOf(at)
			if due[i] < w.Next() {
				t.Fatalf("due at %d, and Next is %d", due[i], w.Next())
			}
		}
		w.Take(now, func(item int, from Place) {
			tick, ok := due[item]
			if !ok || tick > now || placeOf(tick) != from {
				t.Fatalf("tick %d: taken from %d, was due at %d (%v)", now, from, tick, ok)
			}
			delete(due, item)
		})
		for _, tick := range due {
			if tick <= now {
				t.Fatalf("tick %d: not taken, was due at %d", now, tick)
			}
		}
	}
}
