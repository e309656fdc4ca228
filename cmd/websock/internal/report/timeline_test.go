package report

import (
	"slices"
	"testing"
	"time"
)

// steady returns samples of a constant rate, at uneven distances.
func steady(end time.Duration, perSecond int64) (samples []Sample) {
	for at := time.Duration(0); ; at = min(at+at/3+7*time.Millisecond, end) {
		samples = append(samples, Sample{at, Snapshot{Received: int64(at.Seconds() * float64(perSecond))}})
		if at == end {
			return samples
		}
	}
}

func TestTimelineHasEqualDistances(t *testing.T) {
	for _, end := range []time.Duration{
		0, time.Millisecond, 990 * time.Millisecond, time.Second, 5200 * time.Millisecond, time.Minute, time.Hour,
	} {
		line := newTimeline(steady(end, 1000))
		n := len(line.samples)
		if last := line.samples[n-1].at; last < end || last != time.Duration(line.ticks)*line.tick || last-end >= line.tick && end > 0 {
			t.Errorf("%v: it ends at %v, after %d times %v", end, last, line.ticks, line.tick)
		}
		if line.ticks > maxTicks || (n-1)%line.ticks != 0 || n > maxTicks*maxSamplesPerTick+1 {
			t.Errorf("%v: %d ticks, %d samples", end, line.ticks, n)
		}
		for i := 2; i < n; i++ {
			if r := line.samples; r[i].at-r[i-1].at != r[1].at {
				t.Fatalf("%v: sample %d is at %v, the one before at %v", end, i, r[i].at, r[i-1].at)
			}
		}
	}
}

func TestTimelineCountsEveryMessage(t *testing.T) {
	line := newTimeline(steady(10*time.Second, 1000))
	for i, rate := range line.messageRates() {
		if i > 0 && (rate < 990 || rate > 1010) {
			t.Errorf("%v a second before %v", rate, line.samples[i].at)
		}
	}
	if last := line.samples[len(line.samples)-1]; last.Received != 10000 {
		t.Errorf("%+v", last)
	}
}

func TestEveryOtherSampleIsDropped(t *testing.T) {
	got := everyOther([]Sample{{at: 0}, {at: 1}, {at: 2}, {at: 3}, {at: 4}, {at: 5}})
	want := []Sample{{at: 0}, {at: 2}, {at: 4}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestInterpolation(t *testing.T) {
	samples := []Sample{
		{time.Second, Snapshot{Up: 0, Sent: 10, Errors: 2}},
		{2 * time.Second, Snapshot{Up: 100, Sent: 20, Errors: 2}},
	}
	for at, want := range map[time.Duration]Snapshot{
		0:                       {Up: 0, Sent: 10, Errors: 2},
		time.Second:             {Up: 0, Sent: 10, Errors: 2},
		1500 * time.Millisecond: {Up: 50, Sent: 15, Errors: 2},
		2 * time.Second:         {Up: 100, Sent: 20, Errors: 2},
		time.Minute:             {Up: 100, Sent: 20, Errors: 2},
	} {
		if got := interpolate(samples, at); got.at != at || got.Snapshot != want {
			t.Errorf("%v: %+v", at, got)
		}
	}
}
