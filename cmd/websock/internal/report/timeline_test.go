package report

import (
	"slices"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/chart"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// steady returns samples of a constant rate at the given times.
func steady(perSecond int64, times ...time.Duration) (samples []measure.Sample) {
	for _, at := range times {
		samples = append(samples, measure.Sample{At: at, Snapshot: measure.Snapshot{Received: int64(at.Seconds() * float64(perSecond))}})
	}
	return samples
}

// every returns times at equal distances, each a little late, up to an end.
func every(distance, end time.Duration) (times []time.Duration) {
	for at := time.Duration(0); at < end; at += distance {
		times = append(times, min(at+time.Duration(len(times)%7)*time.Millisecond, end))
	}
	return append(times, end)
}

func TestTimelineHasFirstAndLastSampleAndNotTooMany(t *testing.T) {
	for _, test := range []struct {
		end, distance time.Duration
		least         int
	}{
		{0, measure.SampleInterval, 0}, {50 * time.Millisecond, measure.SampleInterval, 1}, {time.Second, measure.SampleInterval, 9},
		{12 * time.Second, measure.SampleInterval, 60}, {time.Minute, measure.SampleInterval, 80}, {10 * time.Hour, 6400 * time.Millisecond, 110},
	} {
		line := newTimeline(steady(1000, every(test.distance, test.end)...))
		n := len(line.intervals())
		if n < test.least || n > maxIntervals+1 {
			t.Errorf("%v: %d intervals", test.end, n)
		}
		if first, last := line.samples[0].At, line.end(); first != 0 || last != test.end {
			t.Errorf("%v: from %v to %v", test.end, first, last)
		}
		for _, i := range line.intervals() {
			if distance := i.to.At - i.from.At; test.end >= time.Second && (distance < test.end/2/maxIntervals || distance > max(test.end/50, 3*measure.SampleInterval)) {
				t.Errorf("%v: an interval of %v", test.end, distance)
			}
		}
	}
	if line := newTimeline(nil); len(line.samples) != 1 || len(line.intervals()) != 0 {
		t.Errorf("of no samples: %+v", line)
	}
}

func TestRatesAreThoseOfTheTimeThatPassed(t *testing.T) {
	ms := time.Millisecond
	line := newTimeline(steady(1000, 0, 100*ms, 350*ms, 400*ms, 1000*ms, 1100*ms)) // some samples are missing
	points := line.rates(func(s *measure.Snapshot) int64 { return s.Received })
	want := []chart.Point{{X: 0, Y: 1000}, {X: 0.1, Y: 1000}, {X: 0.1, Y: 1000}, {X: 0.35, Y: 1000}}
	if !slices.Equal(points[:4], want) {
		t.Errorf("%v", points)
	}
	for _, p := range points {
		if p.Y != 1000 {
			t.Errorf("%v", points)
		}
	}
	fallen := newTimeline([]measure.Sample{{At: 0, Snapshot: measure.Snapshot{Received: 5}}, {At: time.Second}})
	for _, p := range fallen.rates(func(s *measure.Snapshot) int64 { return s.Received }) {
		if p.Y != 0 {
			t.Errorf("a worker process is gone, and the rate is %v", p.Y)
		}
	}
}

func TestPhasesBeginWhereSamplesSaySo(t *testing.T) {
	in := func(at time.Duration, phase string) measure.Sample {
		return measure.Sample{At: at * time.Second, Snapshot: measure.Snapshot{Phase: phase}}
	}
	got := phases([]measure.Sample{in(0, ""), in(1, "dialing"), in(2, "dialing"), in(3, "exchanging"), in(4, ""), in(5, "exchanging"), in(6, "closing"), in(7, "closing")})
	want := []chart.Part{{From: 0, To: 2, Name: "dialing"}, {From: 2, To: 5, Name: "exchanging"}, {From: 5, To: 7, Name: "closing"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	edge := in(6, "closing")
	edge.Edge = true
	if got := phases([]measure.Sample{in(0, "exchanging"), in(5, "exchanging"), edge, in(7, "closing")}); got[0].To != 6 || got[1].From != 6 || got[1].To != 7 {
		t.Errorf("with a sample at the edge: %v", got)
	}
	if got := phases([]measure.Sample{{}}); got != nil {
		t.Errorf("of no names: %v", got)
	}
}

func TestTheEndsOfPhasesAreKeptInAShortRun(t *testing.T) {
	ms := time.Millisecond
	in := func(at time.Duration, phase string, up int64) measure.Sample {
		return measure.Sample{At: at, Edge: true, Snapshot: measure.Snapshot{Phase: phase, Up: up}}
	}
	line := newTimeline([]measure.Sample{in(0, "dialing", 0), in(5*ms, "dialing", 1), in(55*ms, "exchanging", 1), in(56*ms, "closing", 0)})
	want := []chart.Point{{X: 0, Y: 0}, {X: 0.005, Y: 1}, {X: 0.055, Y: 1}, {X: 0.056, Y: 0}}
	if got := line.values(func(s *measure.Snapshot) int64 { return s.Up }); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
