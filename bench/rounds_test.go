package bench

import (
	"math"
	"slices"
	"testing"
	"time"
)

// contender is one of several ways to do the same work.
type contender struct {
	name string
	run  func(n int) // does the work n times
}

// result has the time of one run in nanoseconds, and its ratio to that of the first
// contender: medians over all rounds.
type result struct{ time, ratio float64 }

// measure lets the contenders take turns, rounds times, so that other load slows all
// of them alike and the ratio within one round stays the same. Each turn begins with a
// run that doesn't count, because the previous turn has changed the caches.
func measure(rounds int, contenders []contender) []result {
	const turn = 20 * time.Microsecond
	n := 1
	for quickest(contenders[0].run, n) < turn && n < 1<<20 {
		n *= 2
	}
	times := make([][]float64, len(contenders))
	ratios := make([][]float64, len(contenders))
	for range rounds {
		for i, c := range contenders {
			c.run(1)
			start := time.Now()
			c.run(n)
			t := float64(time.Since(start).Nanoseconds()) / float64(n)
			times[i] = append(times[i], t)
			ratios[i] = append(ratios[i], t/times[0][len(times[0])-1])
		}
	}
	results := make([]result, len(contenders))
	for i := range results {
		results[i] = result{median(times[i]), median(ratios[i])}
	}
	return results
}

// quickest returns the shortest of three turns, since any of them may be interrupted.
func quickest(run func(n int), n int) time.Duration {
	shortest := time.Hour
	for range 3 {
		start := time.Now()
		run(n)
		shortest = min(shortest, time.Since(start))
	}
	return shortest
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// report runs the contenders in b.N rounds (use -benchtime 101x) and reports the time of
// the first one, and the ratios of the others to it.
func report(b *testing.B, contenders ...contender) {
	results := measure(b.N, contenders)
	b.ReportMetric(0, "ns/op") // the time of a round has no meaning
	b.ReportMetric(math.Round(results[0].time*100)/100, "ns/"+contenders[0].name)
	for i, c := range contenders[1:] {
		b.ReportMetric(results[i+1].ratio, "x-"+c.name)
	}
}
