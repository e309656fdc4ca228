package fanout

import "time"

// An avoidance says for how long something that has failed is avoided, such as a Target or an
// address. That time doubles with each attempt made after it that doesn't succeed. So one attempt
// finds out whether the thing works again, and not all of those that would like to use it. The zero
// value avoids nothing.
type avoidance struct {
	until  time.Time // zero: it works, as far as is known
	failed time.Time // when it failed last; zero: never
	ended  time.Time // when it worked again; zero: never
	step   uint8     // how often the time has doubled
}

// avoidTimes bound the time for which something is avoided.
type avoidTimes struct{ first, most time.Duration }

// after returns the time for which something is avoided after that has doubled a number of times.
func (t avoidTimes) after(step uint8) time.Duration {
	d := t.first
	for ; step > 0 && d < t.most; step-- {
		d *= 2
	}
	return min(d, t.most)
}

// works reports whether it has succeeded since it failed last.
func (a *avoidance) works() bool { return a.until.IsZero() }

// active reports whether it is to be avoided now.
func (a *avoidance) active(now time.Time) bool { return now.Before(a.until) }

// fail says that it has failed. What fails soon after it worked again is avoided for longer than
// before.
func (a *avoidance) fail(now time.Time, times avoidTimes) {
	if a.works() && now.Sub(a.ended) > times.after(a.step) {
		a.step = 0
	} else if a.works() {
		a.doubleFor(times)
	}
	a.failed = now
	a.extend(now.Add(times.after(a.step)))
}

// try says that an attempt begins. Nobody else makes one until it has succeeded, or for twice the
// time of before.
func (a *avoidance) try(now time.Time, times avoidTimes) {
	if a.works() || a.active(now) {
		return
	}
	a.doubleFor(times)
	a.extend(now.Add(times.after(a.step)))
}

// succeed says that an attempt has succeeded.
func (a *avoidance) succeed(now time.Time) {
	if !a.works() {
		a.until, a.ended = time.Time{}, now
	}
}

func (a *avoidance) doubleFor(times avoidTimes) {
	if times.after(a.step) < times.most {
		a.step++
	}
}

func (a *avoidance) extend(until time.Time) {
	if until.After(a.until) {
		a.until = until
	}
}
