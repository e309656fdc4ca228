package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/go-analyze/charts"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// writePage writes the report as a web page that needs nothing else.
func (r *report) writePage(file string) error {
	drawn, err := r.charts()
	if err != nil {
		return err
	}
	var table, page bytes.Buffer
	if err := r.table(&table); err != nil {
		return err
	}
	err = pageTemplate.Execute(&page, struct {
		Table  string
		Charts []template.HTML
	}{table.String(), drawn})
	if err != nil {
		return err
	}
	return os.WriteFile(file, page.Bytes(), 0o644)
}

// charts draws all that there is to see.
func (r *report) charts() (drawn []template.HTML, err error) {
	points := thinned(r.samples, maxPoints)
	for _, draw := range []func() ([]byte, error){
		func() ([]byte, error) {
			return lines("Messages received a second", points, series{"", messageRates(points)})
		},
		func() ([]byte, error) {
			return lines("Connections up", points, series{"", valuesOf(points, func(p reading) int64 { return p.Up })})
		},
		func() ([]byte, error) {
			return lines("Errors and reconnections, so far", points,
				series{"errors", valuesOf(points, func(p reading) int64 { return p.Errors })},
				series{"reconnections", valuesOf(points, func(p reading) int64 { return p.Reconnects })})
		},
		func() ([]byte, error) { return bars("Echoes by the time they took", r.latencies) },
	} {
		svg, err := draw()
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, template.HTML(svg))
	}
	return drawn, nil
}

// maxPoints is how many points a line has at most.
const maxPoints = 300

// A series is one line of a chart.
type series struct {
	name   string
	values []float64
}

func valuesOf(points []reading, of func(reading) int64) []float64 {
	values := make([]float64, len(points))
	for i, p := range points {
		values[i] = float64(of(p))
	}
	return values
}

// messageRates returns how many messages a second came before each point.
func messageRates(points []reading) []float64 {
	rates := make([]float64, len(points))
	for i := 1; i < len(points); i++ {
		taken := points[i].at - points[i-1].at
		rates[i] = rounded(float64(points[i].Received-points[i-1].Received) / max(taken.Seconds(), 1e-9))
	}
	return rates
}

func newPainter() *charts.Painter {
	return charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: 900, Height: 280})
}

// lines draws values over time.
func lines(title string, points []reading, all ...series) ([]byte, error) {
	values := make([][]float64, len(all))
	names := make([]string, len(all))
	for i, s := range all {
		values[i], names[i] = s.values, s.name
	}
	o := charts.NewLineChartOptionWithData(values)
	o.Title.Text = title
	o.Symbol.Shape = charts.SymbolNone
	if len(all) > 1 {
		o.Legend.SeriesNames = names
	}
	o.XAxis.LabelCount = 10
	o.XAxis.Labels = make([]string, len(points))
	for i, p := range points {
		o.XAxis.Labels[i] = fmt.Sprintf("%.1f s", p.at.Seconds())
	}
	painter := newPainter()
	if err := painter.LineChart(o); err != nil {
		return nil, err
	}
	return painter.Bytes()
}

// bars draws how many latencies lie between one round number and the next.
func bars(title string, l *latency) ([]byte, error) {
	counts := map[time.Duration]float64{}
	for _, bar := range l.h.Distribution() {
		if bar.Count > 0 {
			counts[roundNumber(microseconds(bar.To))] += float64(bar.Count)
		}
	}
	var values []float64
	var labels []string
	for _, bound := range slices.Sorted(maps.Keys(counts)) {
		values = append(values, counts[bound])
		labels = append(labels, "to "+bound.String())
	}
	if len(values) == 0 {
		values, labels = []float64{0}, []string{"none"}
	}
	o := charts.NewBarChartOptionWithData([][]float64{values})
	o.Title.Text = title
	o.CategoryAxis.Labels = labels
	painter := newPainter()
	if err := painter.BarChart(o); err != nil {
		return nil, err
	}
	return painter.Bytes()
}

// roundNumber returns the smallest of 1, 2 and 5 µs, 10, 20 and 50 µs and so on that is not
// below d.
func roundNumber(d time.Duration) time.Duration {
	for bound := time.Microsecond; ; bound *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if d <= factor*bound {
				return factor * bound
			}
		}
	}
}
