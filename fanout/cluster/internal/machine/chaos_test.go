package machine

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var seeds = flag.Int("seeds", 30, "how many random worlds are tried")
var seed = flag.Int("seed", -1, "the only world to try")

// In each world members join, leave, die, stand still and are cut off at random, while messages are late
// and lost. At each moment no partition has two holders and the rate is kept. When peace comes, each
// partition is held by its owner.
func TestPromisesAreKeptInRandomWorlds(t *testing.T) {
	from, to := 0, *seeds
	if testing.Short() {
		to = 20
	}
	if *seed >= 0 {
		from, to = *seed, *seed+1
	}
	seen := map[State]bool{}
	for n := from; n < to; n++ {
		w := newWorld(uint64(n))
		s := Settings{Weight: 1, Partitions: 24, Lease: w.lease, Margin: w.lease / 4, Rate: w.rate}
		if n%3 == 1 {
			s.Overlap = time.Second
		}
		s.KeepConnections = n%5 == 2
		ids := 0
		join := func() {
			s := s
			s.ID = fmt.Sprint("m", ids)
			s.Weight = float64(1 + w.rand.IntN(3))
			ids++
			w.join(s).keys = w.rand.IntN(12)
		}
		for range 1 + w.rand.IntN(5) {
			join()
		}
		w.lossy = []float64{0, 0.02, 0.2}[w.rand.IntN(3)]
		w.delay = []time.Duration{time.Millisecond, 20 * time.Millisecond, 500 * time.Millisecond}[w.rand.IntN(3)]
		w.stale = n%4 == 3
		for range 25 {
			w.run(time.Duration(w.rand.Int64N(int64(w.lease / 2))))
			a := w.members[w.rand.IntN(len(w.members))]
			d := time.Duration(w.rand.Int64N(int64(2 * w.lease)))
			switch w.rand.IntN(8) {
			case 0:
				if ids < 12 {
					join()
				}
			case 1:
				if ids < 12 {
					join()
				}
				w.note("%s is killed", a.s.ID)
				a.kill()
			case 2:
				a.input("leave", a.m.Leave)
				if w.rand.IntN(2) == 0 {
					w.after(d, func() { a.input("abandon", a.m.Abandon) })
				}
			case 3:
				a.pause(d)
			case 4, 5:
				a.cutOff(d)
			case 6:
				a.loseWatch()
			case 7: // all of them
				for _, a := range w.members {
					a.cutOff(d)
				}
			}
		}
		w.lossy = 0
		join()
		w.run(6 * w.lease)
		why := w.faults
		if len(why) == 0 {
			why = w.settled()
		}
		if len(why) > 0 {
			trace := w.trace
			if *seed < 0 {
				trace = trace[max(0, len(trace)-40):]
			}
			t.Fatalf("seed %d:\n%s\n%s", n, strings.Join(trace, "\n"), strings.Join(why, "\n"))
		}
		for _, a := range w.members {
			for s := range a.seen {
				seen[s] = true
			}
		}
	}
	if *seed >= 0 {
		return
	}
	for s := range states {
		if !seen[State(s)] {
			t.Errorf("nobody was ever %v", State(s))
		}
	}
}
