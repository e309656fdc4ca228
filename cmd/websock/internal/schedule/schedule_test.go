package schedule

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestABeatIsDueAsOftenAsItsRateSays(t *testing.T) {
	for _, rate := range []float64{1e-6, 0.3, 1, 7, 50, 50_000, 1e9, 3e9} {
		b := NewBeat(time.Second, rate)
		if got := b.Count(time.Second - 1); got != 0 || b.Due(0) != time.Second {
			t.Errorf("rate %v: %d are due before the first at %v", rate, got, b.Due(0))
		}
		for _, after := range []time.Duration{0, 1, time.Millisecond, time.Hour, 30 * 24 * time.Hour} {
			want := rate*after.Seconds() + 1
			got := b.Count(time.Second + after)
			if math.Abs(float64(got)-math.Floor(want)) > 1+rate*1e-9+want*1e-12 { // times are whole nanoseconds
				t.Errorf("rate %v: %d after %v", rate, got, after)
			}
		}
	}
}

func TestCountAndDueAgree(t *testing.T) {
	for range 10_000 {
		b := NewBeat(rand.N(time.Hour), math.Exp(20*rand.Float64()-5)).Spread(rand.N(100), 100)
		k := rand.N[int64](1e6)
		due := b.Due(k)
		if b.Due(k+1) == due { // more than one a nanosecond
			continue
		}
		if b.Count(due) != k+1 || b.Count(due-1) > k {
			t.Fatalf("%+v: %d is due at %v, and by then there are %d", b, k, due, b.Count(due))
		}
	}
}

func TestBeatsThatAreSpreadAreOneTogether(t *testing.T) {
	const n = 8
	var all []time.Duration
	for i := range n {
		b := NewBeat(0, 125).Spread(i, n)
		for k := range int64(10) {
			all = append(all, b.Due(k))
		}
	}
	slices.Sort(all)
	for i, due := range all {
		if due != time.Duration(i)*time.Millisecond {
			t.Errorf("%d is due at %v", i, due)
		}
	}
}

func TestABeatThatIsNeverDueAgain(t *testing.T) {
	b := NewBeat(0, 1e-12)
	if b.Due(1) != math.MaxInt64 || b.Count(math.MaxInt64-1) != 1 {
		t.Errorf("%v, %d", b.Due(1), b.Count(math.MaxInt64-1))
	}
}

func TestAQueueGivesWhatIsDueTheEarliestFirst(t *testing.T) {
	var q Queue[time.Duration]
	var want []time.Duration // what is in the queue
	now := time.Duration(0)
	add := func(due time.Duration) {
		q.Add(due, due)
		want = append(want, due)
	}
	for range 100_000 {
		now += rand.N(time.Second)
		if rand.N(2) == 0 {
			add(now + rand.N(30*time.Second))
		}
		if len(want) > 0 {
			if next, ok := q.Next(); !ok || next != slices.Min(want) {
				t.Fatalf("the next of %v is %v, %v", want, next, ok)
			}
		}
		value, due, ok := q.Take(now)
		switch {
		case ok != (len(want) > 0 && slices.Min(want) <= now):
			t.Fatalf("at %v, of %v one was taken: %v", now, want, ok)
		case ok && (due != slices.Min(want) || value != due):
			t.Fatalf("of %v it took %v, due at %v", want, value, due)
		case ok:
			i := slices.Index(want, due)
			want = slices.Delete(want, i, i+1)
			if rand.N(3) == 0 {
				add(due + rand.N(3*time.Second)) // it is due again
			}
		}
		if q.Len() != len(want) {
			t.Fatalf("%d of %d", q.Len(), len(want))
		}
	}
}

func TestAnEmptyQueue(t *testing.T) {
	var q Queue[int]
	q.Add(time.Second, 1)
	q.Take(time.Second)
	if _, ok := q.Next(); ok || q.Len() != 0 {
		t.Error("something is due")
	}
	if _, _, ok := q.Take(time.Hour); ok {
		t.Error("something was taken")
	}
}

func BenchmarkTakeAndAdd(b *testing.B) {
	for _, n := range []int{1, 1000, 20_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var q Queue[*int]
			beat := NewBeat(0, 1000)
			for i := range n {
				q.Add(beat.Spread(i, n).Due(0), new(int))
			}
			for b.Loop() {
				v, due, _ := q.Take(math.MaxInt64)
				q.Add(due+time.Millisecond, v)
			}
		})
	}
}

func BenchmarkCountAndDue(b *testing.B) {
	beat := NewBeat(time.Second, 50)
	now := time.Minute
	for b.Loop() {
		now = beat.Due(beat.Count(now))
	}
}
