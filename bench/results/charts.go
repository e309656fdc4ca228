//go:build linux

package main

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// A chart has a bar for each contestant, the best at the top, and a line at the bound.
type chart struct {
	file, title, unit string
	bars              []bar
	bound             float64 // NaN: there is none
}

type bar struct {
	contestant
	value     float64
	reference bool // of ours, for comparison
}

// charted has the cases with a chart, those of README.md and docs/performance.md, and the chart without its bars.
var charted = map[string]chart{
	"idle/ws/conns=10000":                 {file: "Idle", title: "10,000 idle connections", unit: "bytes of memory for each"},
	"echo/ws/conns=1000":                  {file: "Echo", title: "Echo over 1,000 connections", unit: "µs of CPU time for a message"},
	"pipelined/ws/conns=64x16":            {file: "Pipelined", title: "64 connections, 16 messages in flight on each", unit: "µs of CPU time for a message"},
	"idle/wss/conns=10000/shared=100":     {file: "IdleHTTP2", title: "10,000 idle WebSockets, 100 on a connection", unit: "bytes of memory for each, with TLS"},
	"echo/wss/conns=1000/shared=10":       {file: "EchoHTTP2", title: "Echo over 1,000 WebSockets, 10 on a connection", unit: "µs of CPU time for a message, with TLS"},
	"echo/ws/conns=61/size=1024/takeover": {file: "Compressed", title: "Echo of 1 KiB of JSON, compressed", unit: "µs of CPU time for a message, with takeover"},
}

// drawCharts draws each chart twice, for a light and a dark page.
func drawCharts(dir string, measured []measurement) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, m := range measured {
		for _, g := range m.grids {
			c, ok := charted[g.name]
			if !ok {
				continue
			}
			c.fill(m, g)
			for suffix, colours := range map[string]palette{"": light, "-dark": dark} {
				if err := os.WriteFile(filepath.Join(dir, c.file+suffix+".svg"), c.svg(colours), 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fill adds the bars and the bound.
func (c *chart) fill(m measurement, g *grid) {
	c.bound = math.NaN()
	for _, by := range g.by {
		switch value := g.compared("", by.name); {
		case math.IsNaN(value):
		case by.bound():
			c.bound = least(c.bound, value)
		default:
			c.bars = append(c.bars, bar{by, value, m.reference(by)})
		}
	}
	slices.SortStableFunc(c.bars, func(a, b bar) int { return cmp.Compare(a.value, b.value) })
}
