//go:build linux

package epoll

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

// A testQueue is a deadlineQueue with a clock that the test moves.
type testQueue struct {
	deadlineQueue
	t   *testing.T
	now timing.Instant
}

func newTestQueue(t *testing.T) *testQueue {
	w := &testQueue{t: t, now: 12345 * tick}
	w.clock = func() timing.Instant { return w.now }
	return w
}

// expect lets ticks pass one by one, and fails the test unless each connection is taken after as
// many ticks as want says.
func (w *testQueue) expect(ticks int, want map[*Conn]int) {
	w.t.Helper()
	begin := w.now
	for w.now < begin+timing.Instant(ticks)*tick {
		w.now += tick
		for _, c := range w.due() {
			at, ok := want[c]
			if passed := int((w.now - begin) / tick); !ok || at != passed {
				w.t.Errorf("checked after %d ticks, wanted after %d (%v)", passed, at, ok)
			}
			delete(want, c)
		}
	}
	if len(want) > 0 {
		w.t.Errorf("%d connections are not checked", len(want))
	}
}

func TestDeadlinesAreCheckedAtTheEndOfTheirTick(t *testing.T) {
	tests := []struct {
		name string
		in   timing.Instant
		want int // ticks
	}{
		{"long ago", -1000 * tick, 1}, // at the end of the present tick
		{"now", 0, 1},
		{"within the tick", tick / 2, 1},
		{"a tick ahead", tick, 2}, // never too early
		{"some ticks and a bit", 7*tick + 1, 8},
		{"a last one", (timing.Slots - 3) * tick, timing.Slots - 2},
		{"beyond the wheel", 10 * timing.Slots * tick, timing.Slots - 2}, // to be checked, and added again
		{"nearly for ever", 1<<63 - 1 - 12345*tick, timing.Slots - 2},
	}
	all, want := newTestQueue(t), map[*Conn]int{}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w, c := newTestQueue(t), &Conn{}
			w.add(c, w.now+test.in)
			w.expect(2*timing.Slots, map[*Conn]int{c: test.want})
		})
		c := &Conn{}
		all.add(c, all.now+test.in)
		want[c] = test.want
	}
	all.expect(2*timing.Slots, want)
}

func TestFarDeadlineIsCheckedOnceARevolution(t *testing.T) {
	w, c := newTestQueue(t), &Conn{}
	at := w.now + 3*timing.Slots*tick + 5*tick
	looks := 0
	for w.add(c, at); w.now < at; w.now += tick {
		if len(w.due()) > 0 {
			looks++
			w.add(c, at)
		}
	}
	if looks != 3 {
		t.Errorf("checked %d times before", looks)
	}
	w.expect(2, map[*Conn]int{c: 1})
}

func TestManyDeadlinesOfOneTick(t *testing.T) {
	w, want := newTestQueue(t), map[*Conn]int{}
	for range 10000 {
		c := &Conn{}
		w.add(c, w.now+20*tick)
		want[c] = 21
	}
	w.expect(30, want)
	if w.next() != 0 {
		t.Error("an empty queue wakes the loop")
	}
}

func TestMovedDeadlines(t *testing.T) {
	w := newTestQueue(t)
	later, sooner, often := &Conn{}, &Conn{}, &Conn{}
	w.add(later, w.now+5*tick)
	w.add(later, w.now+50*tick) // it is checked at the earlier time
	w.add(sooner, w.now+50*tick)
	w.add(sooner, w.now+5*tick) // and isn't taken again at the later time
	for i := range timing.Instant(40) {
		w.add(often, w.now+(45-i)*tick)
	}
	w.expect(timing.Slots, map[*Conn]int{later: 6, sooner: 6, often: 7})
}

func TestDeadlineMovedBackIntoASlotThatStillHasItsEntry(t *testing.T) {
	w, c := newTestQueue(t), &Conn{}
	at := w.now + 50*tick
	w.add(c, at)
	w.add(c, w.now+5*tick)
	w.expect(6, map[*Conn]int{c: 6})
	w.add(c, at) // where it still has an entry
	w.expect(timing.Slots, map[*Conn]int{c: 45})
}

func TestDeadlineCanBeAddedAgainWhenItIsTaken(t *testing.T) {
	w, c := newTestQueue(t), &Conn{}
	w.add(c, w.now)
	for range 3 * timing.Slots { // turns of the loop
		w.now += tick
		taken := w.due()
		if len(taken) != 1 || taken[0] != c {
			t.Fatalf("%d taken", len(taken))
		}
		w.add(c, w.now)
	}
}

func TestLoopSleepsUntilTheNextDeadline(t *testing.T) {
	w := newTestQueue(t)
	if w.next() != 0 {
		t.Error("an empty queue wakes the loop")
	}
	w.now += tick / 4
	if !w.add(&Conn{}, w.now+10*tick) {
		t.Error("the loop isn't woken for the first deadline")
	}
	if got, want := w.next()-w.now, 10*tick+tick*3/4; got != want {
		t.Errorf("sleeps %v, want %v", got, want)
	}
	if w.add(&Conn{}, w.now+11*tick) || w.add(&Conn{}, w.now+10*tick) {
		t.Error("the loop is woken for a deadline that isn't sooner")
	}
	if !w.add(&Conn{}, w.now+2*tick) {
		t.Error("the loop isn't woken for a sooner deadline")
	}
	if got, want := w.next()-w.now, 2*tick+tick*3/4; got != want {
		t.Errorf("sleeps %v, want %v", got, want)
	}
	w.now += 100 * tick // the loop was busy
	if w.next() > w.now {
		t.Error("the loop oversleeps")
	}
	if got := len(w.due()); got != 4 {
		t.Errorf("%d taken, want all 4", got)
	}
	if w.next() != 0 || w.due() != nil {
		t.Error("something is left")
	}
}

// Whatever deadlines are added and moved, nothing is taken before its time or twice, and nothing is
// more than a tick late.
func TestDeadlinesAtRandom(t *testing.T) {
	w := newTestQueue(t)
	deadlines := map[*Conn]timing.Instant{}
	var conns []*Conn
	for range 50 {
		conns = append(conns, &Conn{})
	}
	for range 20000 {
		if rand.IntN(3) == 0 {
			w.now += rand.N(3 * tick)
		}
		if c := conns[rand.IntN(len(conns))]; rand.IntN(4) > 0 {
			deadlines[c] = w.now + rand.N(2*timing.Slots*tick) - tick
			w.add(c, deadlines[c])
		} else {
			delete(deadlines, c) // its entry stays in the queue
		}
		taken := map[*Conn]bool{}
		for _, c := range w.due() {
			if taken[c] {
				t.Fatal("taken twice")
			}
			taken[c] = true
			switch at, ok := deadlines[c]; {
			case !ok:
			case at > w.now:
				w.add(c, at)
			default:
				delete(deadlines, c)
			}
		}
		for _, at := range deadlines {
			if w.now > at+2*tick {
				t.Fatalf("%v late", time.Duration(w.now-at))
			}
		}
	}
}

func TestClosedConnectionIsNotKeptForItsDeadline(t *testing.T) {
	c, _ := attached(t, "tcp")
	push(t, c)
	c.SetReadDeadline(time.Now().Add(time.Hour))
	c.Close()
	waitUntil(t, "the loop has detached it", c.isFree)
	w := &c.loop.deadlines
	w.mu.Lock()
	c.place = 0 // as after due has taken it
	w.mu.Unlock()
	before := w.entries.Load()
	c.checkDeadlines()
	if got := w.entries.Load(); got != before {
		t.Error("it is scheduled again")
	}
}
