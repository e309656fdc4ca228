package live

import (
	"testing"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

func TestRatesAreThoseOfTheLastSecond(t *testing.T) {
	tr := tracker{options: &Options{}}
	var s state
	var now measure.Snapshot
	h := measure.NewHistogram()
	for at := time.Duration(0); at <= 5*time.Second; at += interval {
		now.Received += 1000
		if at > 3*time.Second {
			now.Received += 1500
			h.Record(50 * time.Millisecond)
		} else {
			h.Record(time.Millisecond)
		}
		now.Latency = h.Buckets()
		s = tr.add(measure.Sample{At: at, Snapshot: now})
	}
	if s.rates.received != 10_000 || s.rates.latency.n != 4 || s.rates.latency.p50 < 50*time.Millisecond || s.rates.latency.p99 > 63*time.Millisecond {
		t.Errorf("%+v", s.rates)
	}
	if len(tr.recent) > perSecond+1 {
		t.Errorf("%d samples are kept", len(tr.recent))
	}
}

func TestATrackerKnowsWhenAPhaseBegan(t *testing.T) {
	tr := tracker{options: &Options{}}
	var s state
	for at, phase := range []string{"dialing", "dialing", "exchanging", "exchanging", "exchanging"} {
		s = tr.add(measure.Sample{At: time.Duration(at) * time.Second, Snapshot: measure.Snapshot{Phase: phase}})
	}
	if s.elapsed != 4*time.Second || s.inPhase != 2*time.Second {
		t.Errorf("%v, %v", s.elapsed, s.inPhase)
	}
}

func TestHistoryFitsIntoColumns(t *testing.T) {
	for _, test := range []struct {
		points, width, columns int
		each                   time.Duration
	}{
		{0, 10, 0, interval},
		{10, 10, 10, interval},
		{11, 10, 6, 2 * interval},
		{20, 10, 10, 2 * interval},
		{40, 10, 10, time.Second},
		{400, 10, 10, time.Second},
		{10, 0, 0, time.Second},
		{10_000, 300, 300, time.Second},
	} {
		var h history
		for i := range test.points {
			h.add(point{sent: float64(i)})
		}
		columns, each := h.columns(test.width)
		if len(columns) != test.columns || each != test.each {
			t.Errorf("%+v: %d of %v", test, len(columns), each)
		}
		if n := len(columns); n > 0 && columns[n-1].sent < float64(test.points-perSecond) {
			t.Errorf("%+v: the latest is not there: %+v", test, columns[n-1])
		}
	}
}

func TestAPointStaysInItsColumn(t *testing.T) {
	var h history
	var before []point
	for i := range 3 * maxWidth * perSecond {
		h.add(point{p99: time.Duration(i)})
		columns, _ := h.columns(10)
		if i > 100 && i%perSecond != 0 && columns[0] != before[0] {
			t.Fatalf("after %d points: %+v, before %+v", i, columns, before)
		}
		before = columns
	}
	if len(h.points) > maxWidth*perSecond {
		t.Errorf("%d points are kept", len(h.points))
	}
}

func TestMergedPoints(t *testing.T) {
	got := merge([]point{{sent: 1, received: 10, p50: 2, p99: 5}, {sent: 3, received: 30, p50: 4, p99: 9}, {sent: 2, received: 20}})
	if want := (point{sent: 2, received: 20, p50: 3, p99: 9}); got != want {
		t.Errorf("%+v", got)
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		rateText(0): "0/s", rateText(0.52): "0.5/s", rateText(9.96): "10.0/s", rateText(12_345.6): "12,346/s",
		bytesText(999): "999 B/s", bytesText(1_234): "1.23 kB/s", bytesText(45_678_901): "45.7 MB/s", bytesText(5e12): "5000 GB/s",
		timeText(0): "-", timeText(17 * time.Microsecond): "17 µs", timeText(1_234_567): "1.23 ms", timeText(12*time.Second + 345e6): "12.3 s",
		clock(0): "0:00", clock(75 * time.Second): "1:15", clock(3*time.Hour + 62*time.Second): "3:01:02", clock(-1): "0:00",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
