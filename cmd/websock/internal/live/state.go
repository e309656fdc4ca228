package live

import (
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// dialing is the phase in which connections are opened.
const dialing = "dialing"

// A state is all that is shown at one moment.
type state struct {
	*Options
	measure.Snapshot
	elapsed time.Duration // since the run began
	inPhase time.Duration // since its phase began
	rates   rates
	history history
	log     []string // the latest lines
	ending  bool     // it was interrupted
}

// Rates are what happened of late.
type rates struct {
	due, sent, received       float64 // messages a second
	sentBytes, receivedBytes  float64 // a second
	latency, lateness, oneWay quantiles
}

type quantiles struct {
	n        int64
	p50, p99 time.Duration
}

func quantilesOf(b measure.Buckets) quantiles {
	return quantiles{b.Count(), b.Quantile(0.5), b.Quantile(0.99)}
}

// ratesBetween returns what happened between two samples.
func ratesBetween(from, to measure.Sample) rates {
	seconds := (to.At - from.At).Seconds()
	rate := func(from, to int64) float64 {
		if seconds <= 0 {
			return 0
		}
		return max(float64(to-from), 0) / seconds
	}
	return rates{
		due:           rate(from.Due, to.Due),
		sent:          rate(from.Sent, to.Sent),
		received:      rate(from.Received, to.Received),
		sentBytes:     rate(from.SentBytes, to.SentBytes),
		receivedBytes: rate(from.ReceivedBytes, to.ReceivedBytes),
		latency:       quantilesOf(to.Latency.Sub(from.Latency)),
		lateness:      quantilesOf(to.Lateness.Sub(from.Lateness)),
		oneWay:        quantilesOf(to.OneWay.Sub(from.OneWay)),
	}
}

// A point is what happened between two looks at a run.
type point struct {
	sent, received float64 // messages a second
	p50, p99       time.Duration
}

// pointOf has the times of answers or, if there are none, those on the way of received messages.
func pointOf(r rates) point {
	times := r.latency
	if times.n == 0 {
		times = r.oneWay
	}
	return point{r.sent, r.received, times.p50, times.p99}
}

const (
	interval  = 250 * time.Millisecond // between two looks
	recent    = time.Second            // of which the rates are
	perSecond = int(time.Second / interval)
	maxWidth  = 300 // columns of a chart: seconds
)

// A history has the latest points.
type history struct {
	points  []point
	dropped int // points before those
}

func (h *history) add(p point) {
	h.points = append(h.points, p)
	if extra := len(h.points) - maxWidth*perSecond; extra > 0 {
		h.points = append(h.points[:0], h.points[extra:]...)
		h.dropped += extra
	}
}

// columns returns the points in at most width columns, and the time of each. That is a quarter of a second
// if all points fit, or half a second, or a second; then only the latest are there.
func (h *history) columns(width int) (columns []point, each time.Duration) {
	n := 1
	for n < perSecond && len(h.points) > width*n {
		n *= 2
	}
	for from := 0; from < len(h.points); {
		// Columns begin at multiples, so that a point stays in the same one.
		end := min(from+n-(h.dropped+from)%n, len(h.points))
		columns = append(columns, merge(h.points[from:end]))
		from = end
	}
	return columns[max(len(columns)-width, 0):], time.Duration(n) * interval
}

// merge returns the mean rates, the mean p50 and the largest p99 of points.
func merge(points []point) (sum point) {
	times := 0
	for _, p := range points {
		sum.sent += p.sent / float64(len(points))
		sum.received += p.received / float64(len(points))
		if p.p99 > 0 {
			sum.p50 += p.p50
			times++
		}
		sum.p99 = max(sum.p99, p.p99)
	}
	sum.p50 /= time.Duration(max(times, 1))
	return sum
}

// A tracker turns samples into states.
type tracker struct {
	options *Options
	recent  []measure.Sample // the latest, and those of a recent time before
	phaseAt time.Duration    // when the phase began
	history history
}

// add adds a sample that is later than those before, and returns the state at that time.
func (t *tracker) add(now measure.Sample) state {
	if n := len(t.recent); n > 0 {
		last := t.recent[n-1]
		if now.Phase != last.Phase {
			t.phaseAt = now.At
		}
		t.history.add(pointOf(ratesBetween(last, now)))
	}
	t.recent = append(t.recent, now)
	for len(t.recent) > 2 && now.At-t.recent[1].At >= recent {
		t.recent = t.recent[1:]
	}
	return state{
		Options:  t.options,
		Snapshot: now.Snapshot,
		elapsed:  now.At,
		inPhase:  now.At - t.phaseAt,
		rates:    ratesBetween(t.recent[0], now),
		history:  t.history,
	}
}
