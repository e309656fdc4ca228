package sim

import (
	"flag"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var measured = flag.Bool("measure", false, "print the figures of docs/cluster.md for fifty members and a million keys; it takes some minutes")

// An incident is something after which keys have to be connected again.
type incident struct {
	name  string
	begin func(*world)
}

var incidents = []incident{
	{"all start within 5 s", nil},
	{"one member is killed", func(w *world) { w.crashLocked(w.liveLocked()[7]) }},
	{"one member leaves", func(w *world) { w.liveLocked()[7].leaveLocked() }},
	{"one member joins", func(w *world) { w.joinLocked() }},
	{"ten members are killed", func(w *world) {
		for _, n := range w.liveLocked()[:10] {
			w.crashLocked(n)
		}
	}},
	{"ten members join", func(w *world) {
		for range 10 {
			w.joinLocked()
		}
	}},
	{"all are restarted in turn", (*world).rollLocked},
	{"the store is away for 5 s", func(w *world) { w.awayLocked(5 * time.Second) }},
	{"the store is away for 20 s", func(w *world) { w.awayLocked(20 * time.Second) }},
}

// rollLocked restarts all members, one after another: the next leaves when the last one is back and
// holds something.
func (w *world) rollLocked() {
	old := w.liveLocked()
	var step func(leaving, back *node)
	step = func(leaving, back *node) {
		switch {
		case leaving != nil && leaving.dead:
			leaving, back = nil, w.startLocked(leaving.name)
		case back != nil && len(back.holder.parts) > 0, leaving == nil && back == nil:
			if len(old) == 0 {
				return
			}
			leaving, back, old = old[0], nil, old[1:]
			leaving.leaveLocked()
		}
		w.afterLocked(200*time.Millisecond, func() { step(leaving, back) })
	}
	step(nil, nil)
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
	}{{5000, 4096}, {5000, 16384}, {20000, 4096}, {1000, 4096}} {
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
					w.run(200 * time.Millisecond)
				}
				took, ok := w.settleTime(2 * time.Hour)
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
				s := took.Seconds()
				t.Logf("rate %v, %d partitions: %-28s settled after %6.1f s; %4d partitions down, for %.1f s (median), %.1f s (longest); %d writes, %d of partitions; %.0f changes/s and %.2f MB/s delivered to all",
					of.rate, of.partitions, i.name, s, len(down), median.Seconds(), longest.Seconds(), w.server.writes-writes, w.server.partWrites-parts,
					float64(w.server.delivered-delivered)/s, float64(w.server.deliveredBytes-bytes)/s/1e6)
			}
		})
	}
}
