package sim

import (
	"flag"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var measured = flag.Bool("measure", false, "print the figures of docs/cluster-design.md for fifty members and a million keys; it takes some minutes")

// An incident is something after which keys have to be connected again. lasts is how long it goes on.
type incident struct {
	name  string
	begin func(*world)
	lasts time.Duration
}

var incidents = []incident{
	{"all start within 5 s", nil, 0},
	{"one member is killed", func(w *world) { w.crashLocked(w.liveLocked()[7]) }, 0},
	{"one member leaves", func(w *world) { w.liveLocked()[7].leaveLocked() }, 0},
	{"one member joins", func(w *world) { w.joinLocked() }, 0},
	{"ten members are killed", func(w *world) {
		for _, n := range w.liveLocked()[:10] {
			w.crashLocked(n)
		}
	}, 0},
	{"ten members join", func(w *world) { w.joinManyLocked(10) }, 0},
	{"the store is away for 5 s", func(w *world) { w.awayLocked(5 * time.Second) }, 6 * time.Second},
	{"the store is away for 20 s", func(w *world) { w.awayLocked(20 * time.Second) }, 22 * time.Second},
	{"restarted in turn, by tens", func(w *world) { w.rollLocked(10) }, 0},
	{"fifty join, the others leave", func(w *world) {
		old := w.liveLocked()
		w.joinManyLocked(50)
		w.afterLocked(5*time.Minute, func() {
			for _, n := range old {
				n.leaveLocked()
			}
		})
	}, 6 * time.Minute},
	{"restarted in turn, one by one", func(w *world) { w.rollLocked(1) }, 0},
}

func (w *world) joinManyLocked(n int) {
	for range n {
		w.joinLocked()
	}
}

// rollLocked restarts all members, some at a time: the next leave when the last are back and hold
// something.
func (w *world) rollLocked(atOnce int) {
	old := w.liveLocked()
	var leaving, back []*node
	var step func()
	step = func() {
		gone := !slices.ContainsFunc(leaving, func(n *node) bool { return !n.dead })
		holds := !slices.ContainsFunc(back, func(n *node) bool { return len(n.holder.parts) == 0 })
		switch {
		case len(leaving) > 0 && gone:
			for _, n := range leaving {
				back = append(back, w.startLocked(n.name))
			}
			leaving = nil
		case len(leaving) == 0 && holds && len(old) == 0:
			return
		case len(leaving) == 0 && holds:
			atOnce := min(atOnce, len(old))
			leaving, back, old = old[:atOnce], nil, old[atOnce:]
			for _, n := range leaving {
				n.leaveLocked()
			}
		}
		w.afterLocked(200*time.Millisecond, step)
	}
	step()
}

// settleTime lets time pass until every key is where it belongs.
func (w *world) settleTime(limit time.Duration) (took time.Duration, ok bool) {
	began := w.now()
	for w.now()-began < limit {
		if !w.run(100 * time.Millisecond) {
			return 0, false
		}
		why := ""
		w.locked(func() { why = w.check.settledLocked() })
		if why == "" {
			return w.now() - began, true
		}
	}
	return 0, false
}

func TestMeasure(t *testing.T) {
	if !*measured {
		t.Skip("it prints figures, with -measure")
	}
	for _, of := range []struct {
		rate       float64
		partitions int
	}{{5000, 4096}, {20000, 4096}} {
		sc := big(1)
		sc.rate, sc.partitions, sc.failing = of.rate, of.partitions, 0
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(sc, nil)
			defer w.close()
			w.locked(func() {
				w.scheduleScanLocked()
				for range sc.members {
					w.afterLocked(between(w.rng, 0, 5*time.Second), func() { w.joinLocked() })
				}
			})
			w.run(5 * time.Second)
			for _, i := range incidents {
				writes, parts, delivered, bytes := w.server.writes, w.server.partWrites, w.server.delivered, w.server.deliveredBytes
				w.check.takeovers = nil
				if i.begin != nil {
					w.locked(func() { i.begin(w) })
					w.run(max(200*time.Millisecond, i.lasts))
				}
				took, ok := w.settleTime(3 * time.Hour)
				if !ok {
					t.Errorf("%s: %s %s", i.name, w.failure, w.check.settledLocked())
					return
				}
				down := w.check.takeovers
				slices.Sort(down)
				var median, longest time.Duration
				if len(down) > 0 {
					median, longest = down[len(down)/2], down[len(down)-1]
				}
				s := (took + i.lasts).Seconds()
				t.Logf("rate %v, %d partitions: %-28s settled after %6.1f s; %4d partitions down, for %.1f s (median), %.1f s (longest); %d writes, %d of partitions; %.0f changes/s and %.2f MB/s delivered to all",
					of.rate, of.partitions, i.name, s, len(down), median.Seconds(), longest.Seconds(), w.server.writes-writes, w.server.partWrites-parts,
					float64(w.server.delivered-delivered)/s, float64(w.server.deliveredBytes-bytes)/s/1e6)
			}
		})
	}
}
