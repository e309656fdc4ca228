//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"

	"github.com/seed004e8d11/websock/bench/loopback"
)

// A measurement has what the file of a part says.
type measurement struct {
	part
	date, machine string
	grids         []*grid
}

// A grid has the figures of a benchmark in memory, for messages of several sizes, or of a case over
// loopback, which has one column.
type grid struct {
	name     string
	columns  []string
	by       []contestant // the bound first, if there is one
	units    []string     // the first is the one to compare by
	failures []string
	cells    map[cell]map[string][]float64 // by unit, a value for each round
}

type contestant struct{ name, language string }

type cell struct{ column, by string }

// overLoopbackName is the name of the benchmark that stands for all cases over loopback.
const overLoopbackName = "Loopback"

// failureMark begins a line about a contestant that has failed.
const failureMark = "--- FAIL: Benchmark"

// writeRaw writes the figures of a table as go test -bench does.
func writeRaw(w io.Writer, t *loopback.Table, sliced bool) error {
	b := bufio.NewWriter(w)
	for _, row := range t.Rows {
		name := fmt.Sprintf("%s/%s/by=%s/lang=%s", overLoopbackName, t.Case, strings.ReplaceAll(row.Name, " ", "_"), row.Language)
		figures := map[string][]float64{}
		rounds := 0
		for _, f := range t.Case.Figures() {
			figures[f.Unit] = row.Figures(f)
			rounds = len(figures[f.Unit])
		}
		for i := range rounds {
			fmt.Fprintf(b, "Benchmark%s 1", name)
			for _, f := range t.Case.Figures() {
				if x := figures[f.Unit][i]; !math.IsNaN(x) && !(sliced && dependsOnTime(f.Unit)) {
					fmt.Fprintf(b, " %.6g %s", x, f.Unit)
				}
			}
			fmt.Fprintln(b)
		}
		if row.Failure != nil {
			text, _, _ := strings.Cut(row.Failure.Error(), "\n")
			fmt.Fprintf(b, "%s%s: %s\n", failureMark, name, text)
		}
	}
	return b.Flush()
}

// dependsOnTime reports whether a figure means nothing for contestants that run in slices.
func dependsOnTime(unit string) bool { return unit == "msg/s" || strings.HasPrefix(unit, "µs-p") }

// read reads the raw figures of a part.
func (p part) read(dir string) (measurement, error) {
	text, err := os.ReadFile(p.file(dir))
	if err != nil {
		return measurement{}, err
	}
	m := measurement{part: p}
	r := benchfmt.NewReader(bytes.NewReader(text), p.file(dir))
	for r.Scan() {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		m.date, m.machine = result.GetConfig("date"), result.GetConfig("machine")
		m.add(result.Name, result.Values)
	}
	for line := range strings.Lines(string(text)) {
		if name, failure, ok := strings.Cut(strings.TrimPrefix(line, failureMark), ": "); ok && strings.HasPrefix(line, failureMark) {
			key := parseName(benchfmt.Name(name))
			g := m.grid(key.grid)
			g.failures = append(g.failures, key.by.name+" failed: "+strings.TrimSpace(failure))
		}
	}
	return m, r.Err()
}

// grid returns the grid of that name, a new one if there is none.
func (m *measurement) grid(name string) *grid {
	at := slices.IndexFunc(m.grids, func(g *grid) bool { return g.name == name })
	if at < 0 {
		at = len(m.grids)
		m.grids = append(m.grids, &grid{name: name, cells: map[cell]map[string][]float64{}})
	}
	return m.grids[at]
}

// A key says whose figures those of a line are.
type key struct {
	grid, column string
	by           contestant
}

// parseName takes a benchmark's name apart: Receive/size=125/by=gws, or Loopback/CASE/by=gws/lang=Go.
func parseName(name benchfmt.Name) (k key) {
	base, labels := name.Parts()
	k.grid, k.by.language = string(base), "Go"
	var rest []string
	takeover := ""
	for _, part := range labels {
		text := strings.TrimPrefix(string(part), "/")
		label, value, _ := strings.Cut(text, "=")
		switch {
		case label == "by":
			k.by.name = value
		case label == "lang":
			k.by.language = value
		case k.grid == overLoopbackName:
			rest = append(rest, text)
		case label == "size":
			k.column = value
		case text == "takeover=true":
			takeover = ", takeover"
		}
	}
	k.column += takeover
	if k.grid == overLoopbackName {
		k.grid = strings.Join(rest, "/")
	}
	return k
}

func (m *measurement) add(name benchfmt.Name, values []benchfmt.Value) {
	k := parseName(name)
	g := m.grid(k.grid)
	if !slices.Contains(g.columns, k.column) {
		g.columns = append(g.columns, k.column)
	}
	if !slices.Contains(g.by, k.by) {
		g.by = append(g.by, k.by)
	}
	c := cell{k.column, k.by.name}
	if g.cells[c] == nil {
		g.cells[c] = map[string][]float64{}
	}
	for _, v := range values {
		value, unit := v.Value, v.Unit
		if v.OrigUnit != "" {
			value, unit = v.OrigValue, v.OrigUnit
		}
		if !slices.Contains(g.units, unit) {
			g.units = append(g.units, unit)
		}
		g.cells[c][unit] = append(g.cells[c][unit], value)
	}
}

// median returns the median over the rounds, or NaN if there is none.
func (g *grid) median(column, by, unit string) float64 {
	return median(g.cells[cell{column, by}][unit])
}

// compared returns the figure by which contestants are compared.
func (g *grid) compared(column, by string) float64 { return g.median(column, by, g.units[0]) }

// ratio returns the ratio of that figure to the first contestant's: the median over the rounds.
func (g *grid) ratio(column, by string) float64 {
	own, first := g.cells[cell{column, by}][g.units[0]], g.cells[cell{column, g.by[0].name}][g.units[0]]
	var ratios []float64
	for i := range min(len(own), len(first)) {
		ratios = append(ratios, own[i]/first[i])
	}
	return median(ratios)
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}
