package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"strconv"

	"github.com/go-analyze/charts"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// writePage writes the report as a web page that needs nothing else.
func (r *report) writePage(out io.Writer) error {
	drawn, err := r.charts()
	if err != nil {
		return err
	}
	var page bytes.Buffer
	err = pageTemplate.Execute(&page, struct {
		Rows   []row
		Charts []template.HTML
	}{r.rows(), drawn})
	if err != nil {
		return err
	}
	_, err = out.Write(page.Bytes())
	return err
}

// charts draws all that there is to see.
func (r *report) charts() (drawn []template.HTML, err error) {
	t := newTimeline(r.samples)
	for _, draw := range []func() ([]byte, error){
		func() ([]byte, error) {
			return lines("Messages received", "messages a second", t, line{"", t.messageRates()})
		},
		func() ([]byte, error) {
			return lines("Connections up", "connections", t, line{"", t.values(func(r reading) int64 { return r.Up })})
		},
		func() ([]byte, error) {
			return lines("Errors and reconnections, so far", "errors, reconnections", t,
				line{"errors", t.values(func(r reading) int64 { return r.Errors })},
				line{"reconnections", t.values(func(r reading) int64 { return r.Reconnects })})
		},
		func() ([]byte, error) {
			return bars("Echoes by the time they took", "echoes", "milliseconds from message to echo, up to", r.latencies)
		},
	} {
		svg, err := draw()
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, template.HTML(svg))
	}
	return drawn, nil
}

// A line is one of a chart.
type line struct {
	name   string
	values []float64
}

func newPainter() *charts.Painter {
	return charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: 900, Height: 320})
}

// lines draws values over time.
func lines(title, unit string, t timeline, all ...line) ([]byte, error) {
	values := make([][]float64, len(all))
	names := make([]string, len(all))
	for i, l := range all {
		values[i], names[i] = l.values, l.name
	}
	o := charts.NewLineChartOptionWithData(values)
	o.Title.Text = title
	o.Symbol.Shape = charts.SymbolNone
	if len(all) > 1 {
		o.Legend.SeriesNames = names
	}
	o.XAxis.Title = "seconds since the first dial"
	o.XAxis.BoundaryGap = charts.Ptr(false)
	o.XAxis.LabelCount = t.ticks + 1
	o.XAxis.Labels = make([]string, len(t.readings))
	for i, r := range t.readings {
		o.XAxis.Labels[i] = strconv.FormatFloat(r.at.Seconds(), 'f', -1, 64)
	}
	o.YAxis[0].Title = unit
	o.YAxis[0].Min = charts.Ptr(0.0)
	painter := newPainter()
	if err := painter.LineChart(o); err != nil {
		return nil, err
	}
	return painter.Bytes()
}

// bars draws how many latencies are up to each round number, and above the one before.
func bars(title, unit, axis string, l *latency) ([]byte, error) {
	bounds, counts := l.distribution()
	labels := make([]string, len(bounds))
	for i, bound := range bounds {
		labels[i] = strconv.FormatFloat(bound.Seconds()*1000, 'f', -1, 64)
	}
	o := charts.NewBarChartOptionWithData([][]float64{counts})
	o.Title.Text = title
	o.CategoryAxis.Title = axis
	o.CategoryAxis.Labels = labels
	o.CategoryAxis.LabelCount = len(labels)
	o.ValueAxis[0].Title = unit
	painter := newPainter()
	if err := painter.BarChart(o); err != nil {
		return nil, err
	}
	return painter.Bytes()
}
