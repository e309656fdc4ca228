package report

import (
	"reflect"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// steady returns samples of a constant rate, at uneven distances.
func steady(end time.Duration, perSecond int64) (samples []measure.Sample) {
	for at := time.Duration(0); ; at = min(at+at/3+7*time.Millisecond, end) {
		samples = append(samples, measure.Sample{At: at, Snapshot: measure.Snapshot{Received: int64(at.Seconds() * float64(perSecond))}})
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
		if last := line.samples[n-1].At; last < end || last != time.Duration(line.ticks)*line.tick || last-end >= line.tick && end > 0 {
			t.Errorf("%v: it ends at %v, after %d times %v", end, last, line.ticks, line.tick)
		}
		if line.ticks > maxTicks || (n-1)%line.ticks != 0 || n > maxTicks*maxSamplesPerTick+1 {
			t.Errorf("%v: %d ticks, %d samples", end, line.ticks, n)
		}
		for i := 2; i < n; i++ {
			if r := line.samples; r[i].At-r[i-1].At != r[1].At {
				t.Fatalf("%v: sample %d is at %v, the one before at %v", end, i, r[i].At, r[i-1].At)
			}
		}
	}
}

func TestTimelineCountsEveryMessage(t *testing.T) {
	line := newTimeline(steady(10*time.Second, 1000))
	for i, rate := range line.messageRates() {
		if i > 0 && (rate < 990 || rate > 1010) {
			t.Errorf("%v a second before %v", rate, line.samples[i].At)
		}
	}
	if last := line.samples[len(line.samples)-1]; last.Received != 10000 {
		t.Errorf("%+v", last)
	}
}

func TestInterpolation(t *testing.T) {
	samples := []measure.Sample{
		{At: time.Second, Snapshot: measure.Snapshot{Up: 0, Sent: 10, Errors: 2}},
		{At: 2 * time.Second, Snapshot: measure.Snapshot{Up: 100, Sent: 20, Errors: 2}},
	}
	for at, want := range map[time.Duration]measure.Snapshot{
		0:                       {Up: 0, Sent: 10, Errors: 2},
		time.Second:             {Up: 0, Sent: 10, Errors: 2},
		1500 * time.Millisecond: {Up: 50, Sent: 15, Errors: 2},
		2 * time.Second:         {Up: 100, Sent: 20, Errors: 2},
		time.Minute:             {Up: 100, Sent: 20, Errors: 2},
	} {
		if got := interpolate(samples, at); got.At != at || !reflect.DeepEqual(got.Snapshot, want) {
			t.Errorf("%v: %+v", at, got)
		}
	}
}
