package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-analyze/charts"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// WritePage writes the report as a self-contained web page.
func (r *Report) WritePage(w io.Writer) error {
	svgs, err := r.charts()
	if err != nil {
		return err
	}
	var page bytes.Buffer
	err = pageTemplate.Execute(&page, struct {
		Rows          []row
		Charts        []template.HTML
		MemberColumns []string
		Members       [][]string
	}{r.rows(), svgs, memberColumns, r.members()})
	if err != nil {
		return err
	}
	_, err = w.Write(page.Bytes())
	return err
}

// members returns the table of the members of the cluster.
func (r *Report) members() (lines [][]string) {
	if r.Cluster != nil && r.Cluster.Status != nil {
		for i := range r.Cluster.Status.Members {
			lines = append(lines, memberCells(&r.Cluster.Status.Members[i]))
		}
	}
	return lines
}

// charts draws the charts of the page, each as an SVG element.
func (r *Report) charts() (svgs []template.HTML, err error) {
	t := newTimeline(r.samples)
	units := r.unit() + "s"
	draws := []func() ([]byte, error){
		func() ([]byte, error) {
			return lineChart("Messages received", "messages a second", t, series{"", t.messageRates()})
		},
		func() ([]byte, error) {
			return lineChart(strings.ToUpper(units[:1])+units[1:]+" up", units, t, series{"", t.values(func(s measure.Sample) int64 { return s.Up })})
		},
		func() ([]byte, error) {
			return lineChart("Errors and reconnections, so far", "errors, reconnections", t,
				series{"errors", t.values(func(s measure.Sample) int64 { return s.Errors })},
				series{"reconnections", t.values(func(s measure.Sample) int64 { return s.Reconnects })})
		},
		func() ([]byte, error) {
			return histogramChart("Echoes by the time they took", "echoes", "milliseconds from message to echo, up to", r.result.Latencies)
		},
	}
	if r.Cluster != nil {
		draws = append(draws, clusterCharts(t, units)...)
	}
	for _, draw := range draws {
		svg, err := draw()
		if err != nil {
			return nil, err
		}
		svgs = append(svgs, template.HTML(svg))
	}
	return svgs, nil
}

// clusterCharts returns what draws the charts about a cluster.
func clusterCharts(t timeline, units string) []func() ([]byte, error) {
	of := func(count func(measure.ClusterCounts) int64) []float64 {
		return t.values(func(s measure.Sample) int64 { return count(s.Cluster) })
	}
	return []func() ([]byte, error){
		func() ([]byte, error) {
			return lineChart("Members of the cluster", "members", t, series{"", of(func(c measure.ClusterCounts) int64 { return c.Members })})
		},
		func() ([]byte, error) {
			return lineChart("Keys connected", units, t,
				series{"by all members", of(func(c measure.ClusterCounts) int64 { return c.Up })},
				series{"by this one", t.values(func(s measure.Sample) int64 { return s.Up })})
		},
		func() ([]byte, error) {
			return lineChart("Partitions held", "partitions", t,
				series{"by all members", of(func(c measure.ClusterCounts) int64 { return c.HeldByAll })},
				series{"by this one", of(func(c measure.ClusterCounts) int64 { return c.Held })})
		},
		func() ([]byte, error) {
			return lineChart("Partitions moved, so far", "partitions", t,
				series{"taken over", of(func(c measure.ClusterCounts) int64 { return c.TakenOver })},
				series{"handed over", of(func(c measure.ClusterCounts) int64 { return c.HandedOver })})
		},
	}
}

// A series is one line of a chart. A name is shown only if there are several.
type series struct {
	name   string
	values []float64
}

func newPainter() *charts.Painter {
	return charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: 900, Height: 320})
}

// lineChart draws values over time.
func lineChart(title, unit string, t timeline, all ...series) ([]byte, error) {
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
	o.XAxis.Title = "seconds since the first dial"
	o.XAxis.BoundaryGap = charts.Ptr(false)
	o.XAxis.LabelCount = t.ticks + 1
	o.XAxis.Labels = make([]string, len(t.samples))
	for i, s := range t.samples {
		o.XAxis.Labels[i] = strconv.FormatFloat(s.At.Seconds(), 'f', -1, 64)
	}
	o.YAxis[0].Title = unit
	o.YAxis[0].Min = charts.Ptr(0.0)
	painter := newPainter()
	if err := painter.LineChart(o); err != nil {
		return nil, err
	}
	return painter.Bytes()
}

// histogramChart draws the distribution of latencies.
func histogramChart(title, unit, axis string, h *measure.Histogram) ([]byte, error) {
	bounds, counts := distribution(h)
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

// distribution returns consecutive round numbers and for each the count of latencies up to it that are
// above the one before. There is at least one.
func distribution(h *measure.Histogram) (bounds []time.Duration, counts []float64) {
	bounds, counts = []time.Duration{roundUp(h.Min())}, []float64{0}
	h.Bars(func(_, to time.Duration, n int64) {
		for bounds[len(bounds)-1] < to {
			bounds = append(bounds, roundUp(bounds[len(bounds)-1]+1))
			counts = append(counts, 0)
		}
		counts[len(counts)-1] += float64(n)
	})
	return bounds, counts
}

// roundUp returns the smallest of 1, 2 and 5 µs, 10, 20 and 50 µs and so on that is at least d.
func roundUp(d time.Duration) time.Duration {
	for bound := time.Microsecond; ; bound *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if d <= factor*bound {
				return factor * bound
			}
		}
	}
}
