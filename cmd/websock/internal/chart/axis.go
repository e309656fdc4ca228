package chart

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// An Axis maps values to positions. Values outside of it are drawn at its ends.
type Axis struct {
	Title string

	scale    func(float64) float64
	from, to float64 // after scale
	ticks    []tick
}

// A tick is a labelled value of an axis.
type tick struct {
	at    float64
	label string
}

// position returns where a value is, from 0 to 1.
func (a *Axis) position(v float64) float64 {
	return min(max((a.scale(v)-a.from)/(a.to-a.from), 0), 1)
}

func linear(v float64) float64 { return v }

// Counts returns an axis of whole numbers, from 0 to a round one that is at least the largest value.
func Counts(title string, largest float64) Axis { return fromZero(title, largest, 1) }

// Rates returns an axis from 0 to a round number that is at least the largest value.
func Rates(title string, largest float64) Axis { return fromZero(title, largest, 1e-9) }

// fromZero returns an axis whose labels have at least a distance.
func fromZero(title string, largest, distance float64) Axis {
	const steps = 5
	if largest == 0 {
		distance = 1
	}
	step := max(roundUp(largest/steps), distance)
	n := max(math.Ceil(largest/step-1e-9), 1)
	a := Axis{Title: title, scale: linear, to: step * n}
	for i := range int(n) + 1 {
		v := step * float64(i)
		a.ticks = append(a.ticks, tick{v, compact(v, a.to)})
	}
	return a
}

// roundUp returns the least of 1, 2, 5, 10, 20, 50 and so on, and of what is a power of ten smaller,
// that is at least v. It returns 0 if v is not positive.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 0
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 5} {
		if v <= factor*power*(1+1e-9) {
			return factor * power
		}
	}
	return 10 * power
}

// compact writes a round number, with k, M or G if the largest of its axis is large.
func compact(v, largest float64) string {
	unit := ""
	switch {
	case v == 0:
	case largest >= 1e9:
		v, unit = v/1e9, "G"
	case largest >= 1e6:
		v, unit = v/1e6, "M"
	case largest >= 1e4:
		v, unit = v/1e3, "k"
	}
	return strconv.FormatFloat(v, 'g', 6, 64) + unit
}

// timeSteps are the distances of the labels of a time axis, besides round parts of a second.
var timeSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

// Time returns an axis of seconds, from 0 to end.
func Time(title string, end time.Duration) Axis {
	const steps = 8
	end = max(end, time.Millisecond)
	a := Axis{Title: title, scale: linear, to: end.Seconds()}
	step := max(time.Duration(roundUp(float64(end/steps))), time.Millisecond/10)
	if step > time.Second/2 {
		for _, step = range timeSteps {
			if step >= end/steps {
				break
			}
		}
		const day = 24 * time.Hour
		if step < end/steps {
			step = (end/steps + day - 1) / day * day
		}
	}
	for at := time.Duration(0); at <= end; at += step {
		a.ticks = append(a.ticks, tick{at.Seconds(), Duration(at)})
	}
	return a
}

// Duration writes a duration with at most three digits, or its minutes and seconds.
func Duration(d time.Duration) string {
	if d < time.Minute {
		unit := time.Duration(1)
		for d/unit >= 1000 {
			unit *= 10
		}
		return d.Round(unit).String()
	}
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Durations returns a logarithmic axis of seconds that has both durations.
func Durations(title string, from, to time.Duration) Axis {
	from = max(from, time.Microsecond/2)
	to = max(to, 2*from)
	a := Axis{Title: title, scale: math.Log10, from: math.Log10(from.Seconds()), to: math.Log10(to.Seconds())}
	factors := []time.Duration{1}
	if a.to-a.from < 3 {
		factors = []time.Duration{1, 2, 5}
	}
	for power := 100 * time.Nanosecond; power <= to; power *= 10 {
		for _, factor := range factors {
			if d := factor * power; d >= from && d <= to {
				a.ticks = append(a.ticks, tick{d.Seconds(), Duration(d)})
			}
		}
	}
	return a
}

// Quantiles returns an axis of quantiles, on which 90 %, 99 %, 99.9 % and so on are at equal distances.
// It goes as far as count values have different quantiles, but not beyond 99.9999 %.
func Quantiles(title string, count int64) Axis {
	a := Axis{Title: title, scale: nines, to: min(max(math.Log10(float64(count)), 1), 6)}
	for _, t := range []tick{
		{0.5, "50 %"}, {0.9, "90 %"}, {0.99, "99 %"}, {0.999, "99.9 %"}, {0.9999, "99.99 %"}, {0.99999, "99.999 %"}, {0.999999, "99.9999 %"},
	} {
		if nines(t.at) <= a.to+1e-9 {
			a.ticks = append(a.ticks, t)
		}
	}
	return a
}

// nines returns how many nines a quantile has after the point: 1 for 0.9, 2 for 0.99.
func nines(quantile float64) float64 { return -math.Log10(1 - quantile) }

// Spread returns n quantiles at equal distances on the axis of Quantiles, from 0 to that which one of
// count values exceeds.
func Spread(n int, count int64) []float64 {
	last := min(math.Log10(float64(max(count, 1))), 6)
	quantiles := make([]float64, n)
	for i := range quantiles {
		quantiles[i] = 1 - math.Pow(10, -last*float64(i)/float64(n-1))
	}
	return quantiles
}
