package bench

import (
	"flag"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/mask"
)

var wholePlane = flag.Bool("plane", false, "BenchmarkCopyPlane: all 64x64 alignments, in place of 15x15")

// alignments are the addresses modulo 64 that BenchmarkCopyPlane combines.
func alignments() []int {
	if !*wholePlane {
		return []int{0, 1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 32, 33, 47, 63}
	}
	all := make([]int, 64)
	for i := range all {
		all[i] = i
	}
	return all
}

// BenchmarkCopyPlane compares mask.Copy with a copy of the same bytes at every pair of alignments of
// destination and source, and reports the ratios: the largest, the median and the mean. Each is that of
// the shortest turns in b.N rounds (use -benchtime 51x), and turns are short.
func BenchmarkCopyPlane(b *testing.B) {
	for _, n := range []int{64, 100, 125, 128, 200, 256, 300, 512, 1 << 10, 1500, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
		b.Run(fmt.Sprintf("size=%d", n), func(b *testing.B) {
			dsts, srcs := buffers(n+63, 0, 0)
			var ratios, times []float64
			worst, where := 0.0, ""
			for _, d := range alignments() {
				for _, s := range alignments() {
					dst, src := dsts[d:][:n], srcs[s:][:n]
					masked, copied := shortest(b.N, n,
						func(n int) {
							for range n {
								mask.Copy(dst, src, key, 1)
							}
						},
						func(n int) {
							for range n {
								copy(dst, src)
							}
						})
					ratios, times = append(ratios, masked/copied), append(times, masked)
					if r := masked / copied; r > worst {
						worst, where = r, fmt.Sprintf("dst=%d src=%d: %.1f ns, copy %.1f", d, s, masked, copied)
					}
				}
			}
			b.ReportMetric(0, "ns/op") // the time of a round has no meaning
			b.ReportMetric(math.Round(median(times)*10)/10, "ns/Copy")
			sum := 0.0
			for _, r := range ratios {
				sum += r
			}
			b.ReportMetric(worst, "x-worst")
			b.ReportMetric(median(ratios), "x-median")
			b.ReportMetric(sum/float64(len(ratios)), "x-mean")
			if b.N > 1 {
				b.Log("worst at", where)
			}
		})
	}
}

// shortest returns the times of one and of other, which take turns, in nanoseconds.
func shortest(rounds, size int, one, other func(n int)) (float64, float64) {
	times := 1 + 128<<10/(64+size) // some microseconds
	turn := func(f func(n int)) float64 {
		f(1)
		start := time.Now()
		f(times)
		return float64(time.Since(start).Nanoseconds()) / float64(times)
	}
	a, b := math.Inf(1), math.Inf(1)
	for range rounds {
		a, b = min(a, turn(one)), min(b, turn(other))
	}
	return a, b
}
