package report

import (
	"math"
	"strconv"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/chart"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A timeline has what charts show of a run: samples, so few that a page stays small, and the run's
// phases. Time is in seconds since the first dial.
type timeline struct {
	samples []measure.Sample // at least one
	phases  []chart.Part
}

// maxIntervals bounds the intervals between samples, besides those at the ends of phases, and so the size of
// the page.
const maxIntervals = 120

func newTimeline(samples []measure.Sample) timeline {
	if len(samples) == 0 {
		samples = []measure.Sample{{}}
	}
	return timeline{thinned(samples), phases(samples)}
}

// thinned returns the first and the last sample, those at the edges of phases, and of the others so many
// that equal parts of the time have one each.
func thinned(samples []measure.Sample) []measure.Sample {
	last := samples[len(samples)-1]
	distance := last.At / maxIntervals
	shortest := distance / 2
	if last.At > 10*measure.SampleInterval { // what worker processes have counted is a little old
		shortest = max(shortest, measure.SampleInterval*3/4)
	}
	kept := samples[:1:1]
	for _, s := range samples[1:max(len(samples)-1, 1)] {
		gap := s.At - kept[len(kept)-1].At
		if gap >= shortest && last.At-s.At >= shortest && (s.Edge || gap >= distance) {
			kept = append(kept, s)
		}
	}
	if len(samples) > 1 {
		kept = append(kept, last)
	}
	return kept
}

// phases returns the phases that the samples name. The first begins with the run. Another one begins with
// its first sample if that is at an edge, and else with the last sample of the one before.
func phases(samples []measure.Sample) (parts []chart.Part) {
	var last float64 // time of the last sample that named a phase
	for _, s := range samples {
		if s.Phase == "" {
			continue
		}
		at := s.At.Seconds()
		if n := len(parts); n == 0 || parts[n-1].Name != s.Phase {
			if n > 0 && s.Edge {
				last = at
				parts[n-1].To = at
			}
			parts = append(parts, chart.Part{From: last, Name: s.Phase})
		}
		last = at
		parts[len(parts)-1].To = at
	}
	return parts
}

// end returns the time of the last sample.
func (t timeline) end() time.Duration { return t.samples[len(t.samples)-1].At }

// chart returns a chart over time.
func (t timeline) chart(title string, y chart.Axis) *chart.Chart {
	return &chart.Chart{Title: title, X: chart.Time("time since the first dial", t.end()), Y: y, Parts: t.phases}
}

// A counter is one number of a snapshot.
type counter func(*measure.Snapshot) int64

// values returns a number of every sample.
func (t timeline) values(of counter) []chart.Point {
	points := make([]chart.Point, len(t.samples))
	for i := range t.samples {
		points[i] = chart.Point{X: t.samples[i].At.Seconds(), Y: float64(of(&t.samples[i].Snapshot))}
	}
	return points
}

// An interval is what is between two samples.
type interval struct{ from, to *measure.Sample }

// intervals returns those between all samples.
func (t timeline) intervals() []interval {
	intervals := make([]interval, len(t.samples)-1)
	for i := range intervals {
		intervals[i] = interval{&t.samples[i], &t.samples[i+1]}
	}
	return intervals
}

// rate returns by how much a counter grew a second.
func (i interval) rate(of counter) float64 {
	grown := of(&i.to.Snapshot) - of(&i.from.Snapshot)
	return max(float64(grown)/max(i.to.At-i.from.At, time.Microsecond).Seconds(), 0)
}

// steps returns points that have the value of each interval from its beginning to its end.
func (t timeline) steps(value func(interval) float64) (points []chart.Point) {
	for _, i := range t.intervals() {
		y := value(i)
		points = append(points, chart.Point{X: i.from.At.Seconds(), Y: y}, chart.Point{X: i.to.At.Seconds(), Y: y})
	}
	return points
}

// rates returns by how much a counter grew a second, in steps.
func (t timeline) rates(of counter) []chart.Point {
	return t.steps(func(i interval) float64 { return i.rate(of) })
}

// A column is one of a table of intervals.
type column struct {
	title string
	text  func(interval) string
}

// table returns a table with a row for each interval.
func (t timeline) table(columns ...column) chart.Table {
	table := chart.Table{Columns: []string{"until"}}
	for _, c := range columns {
		table.Columns = append(table.Columns, c.title)
	}
	for _, i := range t.intervals() {
		row := chart.Row{From: i.from.At.Seconds(), To: i.to.At.Seconds(), Cells: []string{chart.Duration(i.to.At)}}
		for _, c := range columns {
			row.Cells = append(row.Cells, c.text(i))
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

// grouped formats a number for a table: a small one with two digits.
func grouped(v float64) string {
	if v < 10 && v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return console.Grouped(v)
}
