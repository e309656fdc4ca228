package sim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A scenario is what a seed stands for: a cluster, and how much fails in it.
type scenario struct {
	seed       uint64
	members    int // at the beginning
	partitions int
	keys       int
	uneven     bool // partitions have different numbers of keys, and some have none
	weights    bool // members have different weights

	lease, margin, overlap time.Duration
	keep                   bool // connections are kept while the store is away
	rate                   float64

	latency time.Duration // of the store, one way, at most
	drain   time.Duration // at most
	cut     time.Duration // likewise
	failing float64       // attempts that fail
	lossy   lossy         // during storms
	rounds  int           // of a storm, and one orderly change
	storm   time.Duration
	every   time.Duration // between two faults, on average
}

// lossy says which share of messages to and from the store has a fate of its own.
type lossy struct {
	requests, answers, late, lags float64
	past                          float64 // watches that begin with a moment in the past, as a Store doesn't
	overwritten                   bool    // watches leave out what has been overwritten
}

// scenarioOf returns the scenario of a seed. One of 25 is middle-sized.
func scenarioOf(seed uint64) scenario {
	if seed%25 == 0 {
		return middle(seed)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	choose := func(of ...float64) float64 { return of[rng.IntN(len(of))] }
	lease := time.Duration(choose(2, 5, 10, 10, 30) * float64(time.Second))
	sc := scenario{
		seed:       seed,
		members:    1 + rng.IntN(6),
		partitions: int(choose(4, 16, 16, 64)),
		uneven:     rng.IntN(2) == 0,
		weights:    rng.IntN(3) == 0,
		lease:      lease,
		margin:     lease / 4,
		keep:       rng.IntN(4) == 0,
		rate:       choose(50, 200, 1000),
		latency:    min(time.Duration(choose(1, 10, 50, 200)*float64(time.Millisecond)), lease/40),
		failing:    choose(0, 0, 0.1),
		rounds:     2,
		storm:      time.Duration(4+rng.IntN(10)) * lease,
		every:      time.Duration(choose(0.1, 0.3, 1) * float64(lease)),
	}
	sc.keys = int(sc.rate * choose(0, 0.3, 1, 5))
	sc.drain = time.Duration(choose(0, 0.1, 1, 3) * float64(time.Second))
	sc.cut = time.Duration(choose(0, 0.1, 0.75) * float64(sc.margin))
	if rng.IntN(4) == 0 {
		sc.overlap = time.Duration(choose(0.2, 2, 20) * float64(time.Second))
	}
	if rng.IntN(3) > 0 {
		sc.lossy = lossy{requests: choose(0, 0.02, 0.1), answers: choose(0, 0.02, 0.1), late: choose(0, 0.02, 0.2), lags: choose(0, 0.02)}
		if sc.lossy.overwritten = rng.IntN(3) == 0; !sc.lossy.overwritten {
			sc.lossy.past = choose(0, 0.1, 0.5)
		}
	}
	return sc
}

// middle is twelve members and 50,000 keys.
func middle(seed uint64) scenario {
	sc := big(seed)
	sc.members, sc.partitions, sc.keys, sc.rate = 12, 256, 50_000, 5000
	return sc
}

// big is fifty members and a million keys.
func big(seed uint64) scenario {
	return scenario{
		seed: seed, members: 50, partitions: 4096, keys: 1_000_000,
		lease: 10 * time.Second, margin: 2500 * time.Millisecond, rate: 10_000,
		latency: 20 * time.Millisecond, drain: time.Second, cut: time.Second, failing: 0.01,
		lossy:  lossy{requests: 0.01, answers: 0.01, late: 0.005, lags: 0.001, overwritten: seed%2 == 0},
		rounds: 1, storm: 60 * time.Second, every: 2 * time.Second,
	}
}

// keysOf returns how many keys a partition has.
func (sc *scenario) keysOf(p int) int {
	even := sc.keys / sc.partitions
	if p < sc.keys%sc.partitions {
		even++
	}
	if !sc.uneven {
		return even
	}
	return []int{0, even / 2, even, even + even/2}[p%4]
}

func (sc *scenario) String() string {
	return fmt.Sprintf("seed %d: %d members, %d partitions, %d keys, uneven %v, weights %v, lease %v, overlap %v, keep %v, rate %v, latency %v, drain %v, cut %v, failing %v, lossy %+v, %d storms of %v, faults every %v",
		sc.seed, sc.members, sc.partitions, sc.keys, sc.uneven, sc.weights, sc.lease, sc.overlap, sc.keep, sc.rate, sc.latency, sc.drain, sc.cut, sc.failing, sc.lossy, sc.rounds, sc.storm, sc.every)
}
