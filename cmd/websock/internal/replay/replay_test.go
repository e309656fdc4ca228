package replay

import (
	"testing"
	"time"
)

func TestWhenAnEventIsDue(t *testing.T) {
	begin := time.Now()
	const century = 100 * 365 * 24 * time.Hour // as late as an event can be
	for _, test := range []struct {
		speed    float64
		at, want time.Duration
	}{
		{1, time.Second, time.Second},
		{2, time.Second, time.Second / 2},
		{0.5, time.Second, 2 * time.Second},
		{0, century, 0},
		{1, century, century},
	} {
		o := &Options{Speed: test.speed}
		if got := o.due(begin, test.at).Sub(begin); got != test.want {
			t.Errorf("%v at speed %v: after %v, want %v", test.at, test.speed, got, test.want)
		}
	}
	slow := &Options{Speed: 1e-3}
	if got := slow.due(begin, century); got.Before(begin.Add(century)) {
		t.Errorf("the time of a slow replay overflows: %v", got)
	}
}
