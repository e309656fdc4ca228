//go:build linux

package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-analyze/charts"

	"github.com/seed004e8d11/websock/bench/loopback"
)

// A chart has a bar for each contestant.
type chart struct {
	file, title string
	names       []string
	values      []float64
}

// drawCharts draws the charts of the README.
func drawCharts(dir string, inMemory []*grid, overLoopback []*loopback.Table) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range append(memoryCharts(inMemory), loopbackCharts(overLoopback)...) {
		if err := c.draw(dir); err != nil {
			return err
		}
	}
	return nil
}

func memoryCharts(grids []*grid) (all []chart) {
	charted := map[string]struct{ title, size string }{
		"Receive":         {"Receive 125 bytes, ns", "125"},
		"Send":            {"Send 125 bytes, ns", "125"},
		"CompressedReply": {"Receive and send 1 KiB of JSON, compressed with takeover, ns", "1024, takeover"},
	}
	for _, g := range grids {
		of, ok := charted[g.name]
		if !ok {
			continue
		}
		c := chart{file: g.name, title: of.title}
		for _, by := range g.by {
			c.add(by, g.median(of.size, by, "ns/op"))
		}
		all = append(all, c)
	}
	return all
}

func loopbackCharts(tables []*loopback.Table) (all []chart) {
	titles := map[string][2]string{
		"echo/ws/conns=1000":        {"Echo", "Echo, 1,000 connections: µs of processor a message"},
		"pipelined/ws/conns=64x16":  {"Pipelined", "64 connections, 16 messages in flight on each: µs of processor a message"},
		"broadcast/ws/conns=10000":  {"Broadcast", "Broadcast received by 10,000 connections: µs of processor a message"},
		"server/echo/ws/conns=1000": {"Server", "Echo servers, 1,000 connections: µs of processor a message"},
		"idle/ws/conns=10000":       {"Idle", "10,000 idle connections: bytes of memory for each"},
	}
	for _, t := range tables {
		names, ok := titles[t.Case.String()]
		if !ok {
			continue
		}
		c := chart{file: names[0], title: names[1]}
		for _, row := range t.Rows {
			c.add(row.Name, row.Median(t.Case.Figures()[0]))
		}
		all = append(all, c)
	}
	return all
}

func (c *chart) add(name string, value float64) {
	if !math.IsNaN(value) {
		c.names = append(c.names, name)
		c.values = append(c.values, value)
	}
}

// draw writes an SVG file. The first bar is at the top.
func (c *chart) draw(dir string) error {
	const bar, frame = 26, 90 // pixels
	o := charts.NewBarChartOptionWithData([][]float64{reversed(c.values)})
	o.Horizontal = true
	o.Title.Text = c.title
	o.CategoryAxis.Labels = reversed(c.names)
	o.SeriesList[0].Label.Show = charts.Ptr(true)
	o.SeriesList[0].Label.ValueFormatter = digits
	painter := charts.NewPainter(charts.PainterOptions{
		OutputFormat: charts.ChartOutputSVG,
		Width:        760,
		Height:       frame + bar*len(c.names),
	})
	if err := painter.BarChart(o); err != nil {
		return err
	}
	svg, err := painter.Bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, c.file+".svg"), svg, 0o644)
}

func reversed[T any](s []T) []T {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}
