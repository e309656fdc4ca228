// Package threshold decides whether a run kept what its user demands of it: conditions like
// "latency.p99<200ms" on the figures that package measure has.
package threshold

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Threshold is a condition on one figure of a run.
type Threshold struct {
	text     string
	figure   *figure
	quantile func(times) time.Duration // of a figure that has times
	name     string                    // of what is counted, of a figure that has names
	holds    func(value, limit float64) bool
	limit    float64 // in microseconds, if the figure has times
	percent  bool
}

// An Outcome says whether a Threshold held. Its JSON form is part of that of the report.
type Outcome struct {
	Threshold string   `json:"threshold"`
	Value     *float64 `json:"value"` // nil: it was not measured
	Unit      string   `json:"unit,omitempty"`
	Held      bool     `json:"held"`
	Reason    string   `json:"reason,omitempty"` // why there is no value
}

// The units of an Outcome. A number has none.
const (
	microsecondsUnit = "us"
	percentUnit      = "%"
)

// operators are in the order in which they are looked for: one that begins like another is before that.
var operators = []struct {
	symbol string
	holds  func(value, limit float64) bool
}{
	{"<=", func(value, limit float64) bool { return value <= limit }},
	{">=", func(value, limit float64) bool { return value >= limit }},
	{"==", func(value, limit float64) bool { return value == limit }},
	{"<", func(value, limit float64) bool { return value < limit }},
	{">", func(value, limit float64) bool { return value > limit }},
}

// Parse returns the Threshold that a text like "latency.p99<200ms" describes: a figure, with a statistic
// if it has many times, one of < <= > >= ==, and a limit, which is a time, a number or a percentage. Spaces
// around the operator are allowed.
func Parse(text string) (Threshold, error) {
	name, symbol, limit := split(text)
	t := Threshold{text: strings.TrimSpace(name) + symbol + strings.Join(strings.Fields(limit), "")}
	for _, o := range operators {
		if o.symbol == symbol {
			t.holds = o.holds
		}
	}
	if t.holds == nil {
		return t, fmt.Errorf("%q has no comparison: write a figure, one of < <= > >= ==, and a limit, like latency.p99<200ms", text)
	}
	if err := t.parseFigure(strings.TrimSpace(name)); err != nil {
		return t, err
	}
	return t, t.parseLimit(strings.TrimSpace(limit))
}

// split cuts a text at its operator, which is "" if there is none.
func split(text string) (name, symbol, limit string) {
	at := strings.IndexAny(text, "<>=!")
	if at < 0 {
		return text, "", ""
	}
	for _, o := range operators {
		if rest, ok := strings.CutPrefix(text[at:], o.symbol); ok {
			return text[:at], o.symbol, rest
		}
	}
	return text, "", ""
}

func (t *Threshold) parseFigure(name string) error {
	name, statistic, hasStatistic := strings.Cut(name, ".")
	t.figure = figures[name]
	switch {
	case t.figure == nil:
		return fmt.Errorf("there is no figure %q; there are: %s", name, figureNames())
	case t.figure.named != nil && statistic == "":
		return fmt.Errorf("%s needs one of the names under which the scenario counts messages, like %s.ticks", name, name)
	case t.figure.named != nil:
		t.name = statistic
		return nil
	case t.figure.times == nil && hasStatistic:
		return fmt.Errorf("%s is one number, and has no .%s", name, statistic)
	case t.figure.times == nil:
		return nil
	}
	if !hasStatistic {
		return fmt.Errorf("%s needs a statistic: .min, .mean, .max, or a percentile like %s.p99", name, name)
	}
	t.quantile = statisticNamed(statistic)
	if t.quantile == nil {
		return fmt.Errorf("of %s there are .min, .mean, .max, and percentiles like .p50 and .p99.9, but not %q", name, "."+statistic)
	}
	return nil
}

// statisticNamed returns what computes a statistic, or nil if there is none of this name.
func statisticNamed(name string) func(times) time.Duration {
	switch name {
	case "min":
		return times.Min
	case "mean":
		return times.Mean
	case "max":
		return times.Max
	}
	digits, ok := strings.CutPrefix(name, "p")
	percent, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || strings.Trim(digits, "0123456789.") != "" || percent <= 0 || percent > 100 {
		return nil
	}
	return func(t times) time.Duration { return t.Quantile(percent / 100) }
}

var errLimit = errors.New("a limit is a number that is not negative, like 1000, or a percentage, like 0.1%")

func (t *Threshold) parseLimit(limit string) error {
	if t.figure.times != nil {
		d, err := time.ParseDuration(limit)
		if err != nil || d < 0 {
			return fmt.Errorf("%s: the limit of a time has a unit, like 200ms, 1.5s or 50us", t.text)
		}
		t.limit = microseconds(d)
		return nil
	}
	limit, t.percent = strings.CutSuffix(limit, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(limit), 64)
	switch {
	case err != nil || !(n >= 0) || math.IsInf(n, 0): // also refuses NaN
		return fmt.Errorf("%s: %w", t.text, errLimit)
	case t.percent && t.figure.whole == nil:
		return fmt.Errorf("%s: this is a number, and no part of another: the limit is no percentage", t.text)
	}
	t.limit = n
	return nil
}

// Counted returns the name under which a scenario counts the messages that the threshold is about, or "" if it
// is about something else.
func (t Threshold) Counted() string { return t.name }

// String returns the threshold as it was given, without spaces around the operator.
func (t Threshold) String() string { return t.text }

// Check compares the figure of a run with the limit. What was not measured does not hold.
func (t Threshold) Check(r *Run) Outcome {
	o := Outcome{Threshold: t.text, Unit: t.unit()}
	value, err := t.value(r)
	if err != nil {
		o.Reason = err.Error()
		return o
	}
	o.Value, o.Held = &value, t.holds(value, t.limit)
	return o
}

func (t Threshold) unit() string {
	switch {
	case t.figure.times != nil:
		return microsecondsUnit
	case t.percent:
		return percentUnit
	}
	return ""
}

// value returns the figure in the unit of the limit, or an error that says why it was not measured.
func (t Threshold) value(r *Run) (float64, error) {
	if t.figure.times != nil {
		h := t.figure.times(r)
		if h.Count() == 0 {
			return 0, errors.New(t.figure.missing)
		}
		return microseconds(t.quantile(h)), nil
	}
	value, ok := t.number(r)
	if !ok {
		return 0, errors.New(t.figure.missing)
	}
	if !t.percent {
		return value, nil
	}
	whole := t.figure.whole(r)
	if whole <= 0 {
		return 0, errors.New(t.figure.noWhole)
	}
	if t.figure.part != nil {
		value = t.figure.part(r)
	}
	return 100 * value / whole, nil
}

func (t Threshold) number(r *Run) (float64, bool) {
	if t.figure.named != nil {
		return t.figure.named(r, t.name)
	}
	return t.figure.number(r)
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Describe says for people what was measured.
func (o Outcome) Describe() string {
	switch {
	case o.Value == nil:
		return "not measured: " + o.Reason
	case o.Unit == microsecondsUnit:
		return time.Duration(*o.Value * float64(time.Microsecond)).String()
	case o.Unit == percentUnit:
		return decimals(*o.Value, 6) + " %" // one of a million connections that is missing is seen
	}
	return decimals(*o.Value, 2)
}

// decimals formats a number with at most so many decimals.
func decimals(x float64, most int) string {
	unit := math.Pow10(most)
	return strconv.FormatFloat(math.Round(x*unit)/unit, 'f', -1, 64)
}
