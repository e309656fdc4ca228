package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds   = flag.Int("seeds", 25, "how many seeds of small clusters are run")
	first   = flag.Uint64("first", 1, "the first of them")
	oneSeed = flag.Uint64("seed", 0, "run only this seed, and write what happened to standard error")
	bigs    = flag.Int("bigs", 0, "how many seeds of fifty members and a million keys are run")
)

func TestMain(m *testing.M) {
	flag.Parse()
	runtime.GOMAXPROCS(1) // what happens depends less on the scheduler, and switches cost less
	os.Exit(m.Run())
}

// A result is what a simulation says of itself.
type result struct {
	simulated                             time.Duration
	writes, renewals, partWrites, deliver uint64
	conflicts                             uint64
	deliverBytes                          uint64
	opens, drains, cuts, deaths           int
	takeovers                             []time.Duration
	worst                                 float64
	lines                                 []string
}

// simulate runs a scenario, and returns the invariant that was broken, if any.
func simulate(t *testing.T, sc scenario, lines int) (r result, failure string) {
	synctest.Test(t, func(*testing.T) {
		var tr *trace
		if lines > 0 {
			tr = &trace{limit: lines}
		}
		w := newWorld(sc, tr)
		failure = w.play()
		w.mu.Lock()
		c, s := w.check, w.server
		r = result{
			simulated: w.now(), writes: s.writes, renewals: s.renewals, partWrites: s.partWrites, deliver: s.delivered, conflicts: s.conflicts, deliverBytes: s.deliveredBytes,
			opens: c.opens, drains: c.drains, cuts: c.cuts, deaths: c.deaths, takeovers: c.takeovers, worst: c.worst,
		}
		w.mu.Unlock()
		w.close()
		if tr != nil {
			r.lines = tr.lines
		}
	})
	return r, failure
}

// play lets a scenario happen.
func (w *world) play() string {
	w.mu.Lock()
	w.scheduleScanLocked()
	for range w.sc.members {
		w.afterLocked(between(w.rng, 0, w.sc.lease/2), func() { w.joinLocked() })
	}
	w.mu.Unlock()
	if !w.run(w.sc.lease) || !w.settle() || !w.quiet() {
		return w.failure
	}
	for range w.sc.rounds {
		w.locked(func() { w.stormLocked(w.sc.storm) })
		if !w.run(w.sc.storm) {
			return w.failure
		}
		// What was planned during the storm ends within three leases.
		if !w.run(w.sc.lease * 3) {
			return w.failure
		}
		w.locked(w.calmLocked)
		// Renewals that were lost until now may yet end sessions.
		if !w.run(w.sc.lease) || !w.settle() || !w.quiet() || !w.orderly() {
			return w.failure
		}
	}
	w.locked(func() {
		for _, n := range w.liveLocked() {
			n.leaveLocked()
		}
	})
	w.until("all have left", w.check.leftLocked)
	return w.failure
}

func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) scheduleScanLocked() {
	w.afterLocked(time.Second, func() {
		w.check.scanLocked()
		w.scheduleScanLocked()
	})
}

// bound is how long it may take until all keys are where they belong, when everything is well: members
// that have died are declared dead, those that were cut come back, partitions move one after another,
// and each member opens at its share of the rate what belongs to it.
func (w *world) bound() time.Duration {
	sc := &w.sc
	opening := w.check.openingLocked()
	if sc.failing > 0 {
		opening += opening/3 + 5*time.Second
	}
	moves := time.Duration(sc.partitions) * (sc.drain/2 + 12*sc.latency + 50*time.Millisecond)
	return 3*sc.lease + sc.cut + sc.overlap + 5*time.Second + opening + moves
}

// settle waits until every key is where it belongs.
func (w *world) settle() bool { return w.until("settled", w.check.settledLocked) }

// until waits until nothing is missing, for as long as that may take.
func (w *world) until(state string, missingLocked func() string) bool {
	began := w.now()
	for {
		var missing string
		var bound time.Duration
		w.locked(func() { missing, bound = missingLocked(), w.bound() })
		took := w.now() - began
		switch {
		case missing == "":
			w.locked(func() { w.logLocked("%s after %v", state, took) })
			return true
		case took > bound:
			w.locked(func() { w.failLocked("not %s after %v: %s", state, took, missing) })
			return false
		case !w.run(w.sc.lease / 20):
			return false
		}
	}
}

// quiet lets three leases pass, in which nothing may be written but renewals, and nothing opened.
func (w *world) quiet() bool {
	last := w.sc.lease / 2 // until the last write has arrived
	if w.sc.lossy.late > 0 {
		last = 2 * w.sc.lease
	}
	if !w.run(last) {
		return false
	}
	var writes, conflicts uint64
	var opens, drains, cuts, live int
	w.locked(func() {
		writes, conflicts = w.server.writes-w.server.renewals, w.server.conflicts
		opens, drains, cuts = w.check.opens, w.check.drains, w.check.cuts
		live = len(w.liveLocked())
	})
	renewals := w.server.renewals
	if !w.run(3 * w.sc.lease) {
		return false
	}
	w.locked(func() {
		c, s := w.check, w.server
		if n := s.writes - s.renewals - writes; n > 0 {
			w.failLocked("%d records were written after everything had settled", n)
		}
		if c.opens > opens || c.drains > drains || c.cuts > cuts || s.conflicts > conflicts {
			w.failLocked("after everything had settled, %d partitions were opened, %d drained, %d members cut, %d writes refused", c.opens-opens, c.drains-drains, c.cuts-cuts, s.conflicts-conflicts)
		}
		if n, most := s.renewals-renewals, uint64(live*(3*5+3)); n > most {
			w.failLocked("%d renewals of %d members in three leases", n, live)
		}
		if why := c.settledLocked(); why != "" {
			w.failLocked("it had settled, but: %s", why)
		}
	})
	return w.failure == ""
}

// orderly lets one member join, leave or die, or takes the store away for a short time, and sees that
// nothing moves but what has to, once.
func (w *world) orderly() bool {
	var before []string
	wait := w.sc.latency*4 + time.Millisecond
	w.locked(func() {
		before = make([]string, w.sc.partitions)
		for p := range before {
			before[p] = w.check.belongsLocked(p)
		}
		clear(w.check.moves)
		live := w.liveLocked()
		n := live[w.rng.IntN(len(live))]
		switch kind := w.rng.IntN(4); {
		case kind == 0 && len(live) > 1:
			n.leaveLocked()
		case kind == 1 && len(live) > 1:
			w.crashLocked(n)
		case kind == 2:
			d := w.sc.lease / 4
			if w.sc.keep {
				d = 2 * w.sc.lease
			}
			w.awayLocked(d)
			wait = d + w.sc.lease
		default:
			w.joinLocked()
		}
	})
	if !w.run(wait) || !w.settle() {
		return false
	}
	w.locked(func() {
		for p, moves := range w.check.moves {
			want := 0
			if w.check.belongsLocked(p) != before[p] {
				want = 1
			}
			if moves != want {
				w.failLocked("one member came or went, or the store was away for a moment, and partition %d moved %d times, not %d", p, moves, want)
			}
		}
	})
	return w.failure == "" && w.quiet()
}

func TestClustersInWhichThingsFailKeepTheInvariants(t *testing.T) {
	if *oneSeed != 0 {
		sc := scenarioOf(*oneSeed)
		t.Log(&sc)
		r, failure := simulate(t, sc, 1<<22)
		for _, line := range r.lines {
			fmt.Fprintln(os.Stderr, line)
		}
		if failure != "" {
			t.Error(failure)
		}
		return
	}
	var sum result
	failures := 0
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		sc := scenarioOf(seed)
		began := time.Now()
		r, failure := simulate(t, sc, 0)
		if failure != "" {
			t.Errorf("%v: %s", &sc, failure)
			if failures++; failures == 5 {
				t.Fatal("there may be more")
			}
		}
		sum.simulated += r.simulated
		sum.writes += r.writes
		sum.opens += r.opens
		sum.cuts += r.cuts
		sum.deaths += r.deaths
		if testing.Verbose() {
			t.Logf("seed %d: %v simulated in %v: %d writes, %d opens, %d cuts, worst second %.2f of the rate", seed, r.simulated, time.Since(began), r.writes, r.opens, r.cuts, r.worst)
		}
	}
	t.Logf("%d seeds, %v of simulated time: %d writes, %d partitions opened, %d members declared dead, %d sessions lost",
		*seeds, sum.simulated.Round(time.Minute), sum.writes, sum.opens, sum.deaths, sum.cuts)
}

func TestASeedRepeatsARun(t *testing.T) {
	sc := scenarioOf(11) // members end, which several goroutines do at a time
	first, _ := simulate(t, sc, 1<<20)
	second, _ := simulate(t, sc, 1<<20)
	for i, line := range first.lines {
		if i >= len(second.lines) || second.lines[i] != line {
			t.Fatalf("line %d differs: %s", i, line)
		}
	}
	if len(first.lines) < 1000 {
		t.Errorf("only %d lines", len(first.lines))
	}
}

func TestFiftyMembersAndAMillionKeys(t *testing.T) {
	if *bigs == 0 {
		t.Skip("each takes half a minute: -bigs says how many are run")
	}
	for seed := *first; seed < *first+uint64(*bigs); seed++ {
		sc := big(seed)
		began := time.Now()
		r, failure := simulate(t, sc, 200)
		if failure != "" {
			t.Errorf("%v: %s\n%s", &sc, failure, strings.Join(r.lines[max(0, len(r.lines)-60):], "\n"))
		}
		t.Logf("%v simulated in %v: %d writes (%d renewals, %d of partitions), %d changes delivered (%d MB), %d opens, worst second %.2f of the rate",
			r.simulated, time.Since(began), r.writes, r.renewals, r.partWrites, r.deliver, r.deliverBytes>>20, r.opens, r.worst)
	}
}
