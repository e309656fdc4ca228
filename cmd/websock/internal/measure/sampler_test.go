package measure

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestASampleAtEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := StartSampler(0, func() Snapshot { return Snapshot{Received: time.Since(begin).Milliseconds()} })
		time.Sleep(10*SampleInterval + SampleInterval/2)
		samples := s.Stop()
		if len(samples) != 12 || len(s.Stop()) != 12 { // at 0 to 10 intervals, and at the end
			t.Fatalf("%d samples", len(samples))
		}
		for i, sample := range samples {
			if at := min(time.Duration(i)*SampleInterval, 10*SampleInterval+SampleInterval/2); sample.At != at || sample.Received != at.Milliseconds() {
				t.Errorf("sample %d: %v, %d", i, sample.At, sample.Received)
			}
		}
	})
}

func TestTheIntervalDoublesWhenThereAreManySamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := StartSampler(0, func() Snapshot { return Snapshot{} })
		time.Sleep(3 * maxSamples * SampleInterval)
		samples := s.Stop()
		if len(samples) > maxSamples {
			t.Fatalf("%d samples", len(samples))
		}
		for i := 1; i < len(samples)-1; i++ {
			if distance := samples[i].At - samples[i-1].At; distance < 4*SampleInterval || distance > 6*SampleInterval {
				t.Fatalf("%v between samples %d and %d", distance, i-1, i)
			}
		}
	})
}

func TestASampleWhereSomethingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n int64
		s := StartSampler(0, func() Snapshot { n++; return Snapshot{Received: n} })
		time.Sleep(SampleInterval / 3)
		s.Sample()
		time.Sleep(SampleInterval / 3)
		samples := s.Stop()
		s.Sample()
		if len(samples) != 3 || samples[1].At != SampleInterval/3 || samples[1].Received != 2 || !samples[1].Edge || len(s.Stop()) != 3 {
			t.Errorf("%+v", samples)
		}
	})
}

func TestAShortRunIsSampledMoreOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := StartSampler(50*time.Millisecond, func() Snapshot { return Snapshot{} })
		time.Sleep(51 * time.Millisecond)
		if samples := s.Stop(); len(samples) != 2+minSamples {
			t.Errorf("%d samples", len(samples))
		}
	})
}
