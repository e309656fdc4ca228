package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/chart"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A section is a part of the page with its charts.
type section struct {
	Title  string
	Text   string // what there is to say where there is nothing to draw
	Charts []*chart.Chart
}

// sections returns those that the run has anything for.
func (r *Report) sections() (sections []section) {
	t := newTimeline(r.samples)
	for _, s := range []section{
		{Title: "Latency", Charts: r.latencyCharts(t)},
		{Title: "Messages and connections", Charts: append([]*chart.Chart{messageRates(t)}, r.connectionCharts(t)...)},
		r.errorSection(t),
		r.clusterSection(t),
	} {
		if s.Text != "" || len(s.Charts) > 0 {
			sections = append(sections, s)
		}
	}
	return sections
}

// latencyCharts returns the charts about times: a heat map for each kind that was measured, the most
// important one first, and the percentiles of all.
func (r *Report) latencyCharts(t timeline) (charts []*chart.Chart) {
	for _, c := range []*chart.Chart{
		heatMap(t, "Latency over time", "answers", func(s *measure.Snapshot) measure.Buckets { return s.Latency }),
		heatMap(t, "One-way latency over time", "messages", func(s *measure.Snapshot) measure.Buckets { return s.OneWay }),
		heatMap(t, "Lateness of sending over time", "messages", func(s *measure.Snapshot) measure.Buckets { return s.Lateness }),
	} {
		if c != nil {
			charts = append(charts, c)
		}
	}
	if c := r.percentileCurves(); c != nil {
		charts = slices.Insert(charts, min(1, len(charts)), c)
	}
	for i, c := range charts {
		c.Large = i < 2 || len(charts) < 4 // two are beside each other
	}
	return charts
}

// heatMap draws times over time. It returns nil if there are none.
func heatMap(t timeline, title, unit string, of func(*measure.Snapshot) measure.Buckets) *chart.Chart {
	in := func(i interval) measure.Buckets { return of(&i.to.Snapshot).Sub(of(&i.from.Snapshot)) }
	var cells []chart.Cell
	shortest, longest := measure.MaxTime, time.Duration(0)
	for _, i := range t.intervals() {
		eachBucket(in(i), func(from, to time.Duration, n int64) {
			shortest, longest = min(shortest, from), max(longest, to)
			cells = append(cells, chart.Cell{
				Left: i.from.At.Seconds(), Right: i.to.At.Seconds(), Bottom: from.Seconds(), Top: to.Seconds(), Count: n,
			})
		})
	}
	if len(cells) == 0 {
		return nil
	}
	quantile := func(q float64) []chart.Point {
		return t.steps(func(i interval) float64 {
			if b := in(i); b.Count() > 0 {
				return b.Quantile(q).Seconds()
			}
			return math.NaN()
		})
	}
	percentile := func(p float64) column {
		return column{"p" + strconv.FormatFloat(p, 'f', -1, 64), func(i interval) string {
			if b := in(i); b.Count() > 0 {
				return "≤ " + chart.Duration(b.Quantile(p/100))
			}
			return "–"
		}}
	}
	largest := percentile(100)
	largest.title = "largest"
	whole := in(interval{&t.samples[0], &t.samples[len(t.samples)-1]})
	c := t.chart(title, chart.Durations("", shortest, longest))
	c.About = fmt.Sprintf("A heat map of %s %s: half of them took at most %s, 99 %% at most %s, all at most %s.", console.Grouped(whole.Count()), unit,
		chart.Duration(whole.Quantile(0.5)), chart.Duration(whole.Quantile(0.99)), chart.Duration(whole.Quantile(1)))
	c.Cells = &chart.HeatMap{Of: unit + " in a cell", Cells: cells}
	c.Lines = []chart.Series{
		{Name: "p50", Colour: chart.Ink, Points: quantile(0.5)},
		{Name: "p99", Colour: chart.Vermilion, Points: quantile(0.99)},
	}
	c.Table = t.table(column{unit, func(i interval) string { return console.Grouped(in(i).Count()) }},
		percentile(50), percentile(90), percentile(99), largest)
	return c
}

// eachBucket calls f with the bounds of the buckets that are not empty, and their counts.
func eachBucket(b measure.Buckets, f func(from, to time.Duration, n int64)) {
	var from time.Duration
	var n int64
	for bound, count := range b.All() {
		if n > 0 {
			f(from, bound, n)
		}
		from, n = bound, count
	}
	if n > 0 {
		f(from, b.Quantile(1), n)
	}
}

// A distribution is a histogram as the page names it.
type distribution struct {
	*measure.Histogram
	name   string
	colour chart.Colour
	dash   chart.Dash
}

// distributions returns all histograms that counted anything.
func (r *Report) distributions() (all []distribution) {
	latency := "latency"
	if r.result.ClosedLoop.Count() > 0 {
		latency = "latency from when a message was due (corrected)"
	}
	for _, d := range []distribution{
		{r.result.Latencies, latency, chart.Blue, chart.Solid},
		{r.result.ClosedLoop, "latency in a closed loop (not corrected)", chart.Vermilion, chart.Dashed},
		{r.result.OneWay, "one-way latency", chart.Green, chart.Solid},
		{r.result.Lateness, "lateness of sending", chart.Purple, chart.Dotted},
	} {
		if d.Count() > 0 {
			all = append(all, d)
		}
	}
	return all
}

// percentileCurves draws each distribution by percentile. It returns nil if there is none.
func (r *Report) percentileCurves() *chart.Chart {
	all := r.distributions()
	if len(all) == 0 {
		return nil
	}
	c := &chart.Chart{Title: "Percentiles"}
	var count int64
	shortest, longest := measure.MaxTime, time.Duration(0)
	for _, d := range all {
		count = max(count, d.Count())
		shortest, longest = min(shortest, d.Min()), max(longest, d.Max())
		line := chart.Series{Name: d.name, Colour: d.colour, Dash: d.dash}
		for _, q := range chart.Spread(200, d.Count()) {
			line.Points = append(line.Points, chart.Point{X: q, Y: d.Quantile(q).Seconds()})
		}
		line.Points[len(line.Points)-1].Y = d.Max().Seconds()
		c.Lines = append(c.Lines, line)
		c.About += fmt.Sprintf("Of %s, %s were counted: p50 is %s, p99 %s, the largest %s. ", d.name, console.Grouped(d.Count()),
			chart.Duration(d.Quantile(0.5)), chart.Duration(d.Quantile(0.99)), chart.Duration(d.Max()))
	}
	if len(all) == 1 {
		c.Title += " of " + all[0].name
	}
	c.X = chart.Quantiles("percentile", count)
	c.Y = chart.Durations("", shortest, longest)
	c.Table = percentileTable(all)
	return c
}

func percentileTable(all []distribution) chart.Table {
	table := chart.Table{Columns: []string{"percentile"}}
	for _, d := range all {
		table.Columns = append(table.Columns, d.name)
	}
	from := 0.0
	for _, p := range []float64{50, 75, 90, 95, 99, 99.9, 99.99, 99.999, 100} {
		name := "p" + strconv.FormatFloat(p, 'f', -1, 64)
		if p == 100 {
			name = "max"
		}
		row := chart.Row{From: from, To: p / 100, Cells: []string{name}}
		for _, d := range all {
			row.Cells = append(row.Cells, d.Quantile(p/100).String())
		}
		table.Rows = append(table.Rows, row)
		from = p / 100
	}
	return table
}

// A quantity is a line of a chart over time.
type quantity struct {
	name   string
	of     counter
	colour chart.Colour
	dash   chart.Dash
}

// used returns those that are ever above 0, and the first if none is.
func (t timeline) used(all ...quantity) []quantity {
	used := slices.DeleteFunc(slices.Clone(all), func(m quantity) bool {
		return !slices.ContainsFunc(t.samples, func(s measure.Sample) bool { return m.of(&s.Snapshot) > 0 })
	})
	if len(used) == 0 {
		return all[:1]
	}
	return used
}

// rateChart draws by how much numbers grew a second.
func rateChart(t timeline, title, unit string, all ...quantity) *chart.Chart {
	var lines []chart.Series
	var columns []column
	about := ""
	for _, m := range t.used(all...) {
		lines = append(lines, chart.Series{Name: m.name, Colour: m.colour, Dash: m.dash, Points: t.rates(m.of)})
		columns = append(columns, column{m.name + " a second", func(i interval) string { return grouped(i.rate(m.of)) }})
		about += fmt.Sprintf("At most %s %s a second. ", grouped(highest(lines[len(lines)-1:])), m.name)
	}
	c := t.chart(title, chart.Rates(unit, highest(lines)))
	c.About, c.Lines, c.Table = about, lines, t.table(columns...)
	return c
}

// valueChart draws numbers.
func valueChart(t timeline, title, unit string, all ...quantity) *chart.Chart {
	var lines []chart.Series
	var columns []column
	about := ""
	last := &t.samples[len(t.samples)-1].Snapshot
	for _, m := range t.used(all...) {
		lines = append(lines, chart.Series{Name: m.name, Colour: m.colour, Dash: m.dash, Points: t.values(m.of)})
		columns = append(columns, column{m.name, func(i interval) string { return console.Grouped(m.of(&i.to.Snapshot)) }})
		about += fmt.Sprintf("%s: %s in the end, at most %s. ", m.name, console.Grouped(m.of(last)), grouped(highest(lines[len(lines)-1:])))
	}
	c := t.chart(title, chart.Counts(unit, highest(lines)))
	c.About, c.Lines, c.Table = about, lines, t.table(columns...)
	return c
}

// highest returns the largest value of all points.
func highest(all []chart.Series) (y float64) {
	for _, s := range all {
		for _, p := range s.Points {
			y = max(y, p.Y)
		}
	}
	return y
}

func messageRates(t timeline) *chart.Chart {
	return rateChart(t, "Messages a second", "messages a second",
		quantity{"received", func(s *measure.Snapshot) int64 { return s.Received }, chart.Blue, chart.Solid},
		quantity{"sent", func(s *measure.Snapshot) int64 { return s.Sent }, chart.Vermilion, chart.Dashed},
		quantity{"asked for", func(s *measure.Snapshot) int64 { return s.Due }, chart.Ink, chart.Dotted},
	)
}

// connectionCharts returns the charts about connections.
func (r *Report) connectionCharts(t timeline) []*chart.Chart {
	units := r.unit() + "s"
	states := t.used(
		quantity{name: "up", of: func(s *measure.Snapshot) int64 { return s.Up }, colour: chart.Blue},
		quantity{name: "connecting", of: func(s *measure.Snapshot) int64 { return s.Connecting }, colour: chart.Ochre},
		quantity{name: "waiting to dial", of: func(s *measure.Snapshot) int64 { return s.Waiting }, colour: chart.Grey},
		quantity{name: "ended", of: func(s *measure.Snapshot) int64 { return s.Ended }, colour: chart.Vermilion},
	)
	asked := quantity{"asked for", func(s *measure.Snapshot) int64 { return s.Asked }, chart.Ink, chart.Dashed}
	c := stackOf(t, fmt.Sprintf("%s by state", capitalized(units)), units, states, t.values)
	if slices.ContainsFunc(t.samples, func(s measure.Sample) bool { return s.Asked > 0 }) {
		c.Lines = []chart.Series{{Name: asked.name, Colour: asked.colour, Dash: asked.dash, Points: t.values(asked.of)}}
		c.Y = chart.Counts(units, max(highest(c.Lines), total(c.Stack)))
	}
	charts := []*chart.Chart{c}
	sessions := quantity{name: "HTTP/2 connections", of: func(s *measure.Snapshot) int64 { return s.Sessions }, colour: chart.Blue}
	streams := quantity{name: "WebSockets on them", of: func(s *measure.Snapshot) int64 { return s.Streams }, colour: chart.Blue}
	if r.HTTP2 != nil || sessions.of(&t.samples[len(t.samples)-1].Snapshot) > 0 {
		charts = append(charts,
			valueChart(t, "HTTP/2 connections", "connections", sessions),
			valueChart(t, "WebSockets on HTTP/2 connections", "WebSockets", streams))
	}
	return charts
}

// stackOf draws numbers on top of each other, each as the given points.
func stackOf(t timeline, title, unit string, all []quantity, points func(counter) []chart.Point) *chart.Chart {
	c := t.chart(title, chart.Axis{})
	var columns []column
	last := &t.samples[len(t.samples)-1].Snapshot
	for _, m := range all {
		c.Stack = append(c.Stack, chart.Series{Name: m.name, Colour: m.colour, Points: points(m.of)})
		columns = append(columns, column{m.name, func(i interval) string { return console.Grouped(m.of(&i.to.Snapshot)) }})
		c.About += fmt.Sprintf("%s: %s in the end. ", m.name, console.Grouped(m.of(last)))
	}
	c.Y = chart.Counts(unit, total(c.Stack))
	c.Table = t.table(columns...)
	return c
}

// total returns the largest sum of all series at one point.
func total(stack []chart.Series) (largest float64) {
	for i := range stack[0].Points {
		sum := 0.0
		for _, s := range stack {
			sum += s.Points[i].Y
		}
		largest = max(largest, sum)
	}
	return largest
}

// errorSection returns what went wrong over time.
func (r *Report) errorSection(t timeline) section {
	s := section{Title: "Errors"}
	last := &t.samples[len(t.samples)-1].Snapshot
	if last.Errors == 0 && last.Reconnects == 0 {
		s.Text = "There were none."
		return s
	}
	if last.Errors > 0 {
		const unit = "errors a second"
		c := stackOf(t, "Errors by kind", unit, errorKinds(last), t.rates)
		c.Y = chart.Rates(unit, total(c.Stack))
		c.Table.Columns[0] = "so far"
		s.Charts = append(s.Charts, c)
	}
	if last.Reconnects > 0 {
		s.Charts = append(s.Charts, rateChart(t, "Reconnections", "reconnections a second",
			quantity{name: "reconnections", of: func(s *measure.Snapshot) int64 { return s.Reconnects }, colour: chart.Blue}))
	}
	return s
}

// errorKinds returns a number for each of the most frequent kinds of errors, and one for all others.
func errorKinds(last *measure.Snapshot) (kinds []quantity) {
	colours := []chart.Colour{chart.Vermilion, chart.Blue, chart.Ochre, chart.Purple, chart.Green, chart.Rose}
	names := slices.SortedFunc(maps.Keys(last.ErrorsByKind), func(a, b string) int {
		return cmp.Or(cmp.Compare(last.ErrorsByKind[b], last.ErrorsByKind[a]), cmp.Compare(a, b))
	})
	names = names[:min(len(names), len(colours))]
	for i, name := range names {
		kinds = append(kinds, quantity{name: name, of: func(s *measure.Snapshot) int64 { return s.ErrorsByKind[name] }, colour: colours[i]})
	}
	others := quantity{name: "other kinds", colour: chart.Grey, of: func(s *measure.Snapshot) int64 {
		n := s.Errors
		for _, name := range names {
			n -= s.ErrorsByKind[name]
		}
		return max(n, 0)
	}}
	if others.of(last) > 0 {
		kinds = append(kinds, others)
	}
	return kinds
}

// clusterSection returns what a member saw of its cluster.
func (r *Report) clusterSection(t timeline) section {
	if r.Cluster == nil {
		return section{}
	}
	units := r.unit() + "s"
	of := func(count func(*measure.ClusterCounts) int64) counter {
		return func(s *measure.Snapshot) int64 { return count(&s.Cluster) }
	}
	return section{Title: "Cluster", Charts: []*chart.Chart{
		valueChart(t, "Members of the cluster", "members",
			quantity{name: "members", of: of(func(c *measure.ClusterCounts) int64 { return c.Members })}),
		valueChart(t, "Keys connected", units,
			quantity{"by all members", of(func(c *measure.ClusterCounts) int64 { return c.Up }), chart.Blue, chart.Solid},
			quantity{"by this one", func(s *measure.Snapshot) int64 { return s.Up }, chart.Vermilion, chart.Dashed}),
		valueChart(t, "Partitions held", "partitions",
			quantity{"by all members", of(func(c *measure.ClusterCounts) int64 { return c.HeldByAll }), chart.Blue, chart.Solid},
			quantity{"by this one", of(func(c *measure.ClusterCounts) int64 { return c.Held }), chart.Vermilion, chart.Dashed}),
		valueChart(t, "Partitions moved, so far", "partitions",
			quantity{"taken over", of(func(c *measure.ClusterCounts) int64 { return c.TakenOver }), chart.Blue, chart.Solid},
			quantity{"handed over", of(func(c *measure.ClusterCounts) int64 { return c.HandedOver }), chart.Vermilion, chart.Dashed}),
	}}
}

func capitalized(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
