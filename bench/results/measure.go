//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock/bench/loopback"
	"golang.org/x/perf/benchfmt"
)

// A grid has the results of one benchmark for each contestant and size.
type grid struct {
	name  string
	sizes []string
	by    []string
	cells map[cell]map[string][]float64 // by unit, a value for each round
}

type cell struct{ size, by string }

// measureInMemory runs the benchmarks in rounds and writes their output to raw.
func measureInMemory(e extent, raw string) ([]*grid, error) {
	dir, err := os.MkdirTemp("", "websock-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	var output bytes.Buffer
	for range e.rounds {
		round := exec.Command(binary, "-test.run=^$", "-test.bench="+e.benchmarks, "-test.benchtime="+e.time.String())
		round.Stdout, round.Stderr = &output, os.Stderr
		if err := round.Run(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, output.Bytes())
		}
	}
	if err := os.WriteFile(raw, output.Bytes(), 0o644); err != nil {
		return nil, err
	}
	return parse(output.Bytes())
}

// parse returns grids with the output of benchmarks, in the order in which they ran.
func parse(output []byte) (grids []*grid, err error) {
	r := benchfmt.NewReader(bytes.NewReader(output), "")
	for r.Scan() {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		base, parts := result.Name.Parts()
		labels := map[string]string{}
		for _, part := range parts {
			key, value, _ := strings.Cut(strings.TrimPrefix(string(part), "/"), "=")
			labels[key] = value
		}
		at := slices.IndexFunc(grids, func(g *grid) bool { return g.name == string(base) })
		if at < 0 {
			at = len(grids)
			grids = append(grids, &grid{name: string(base), cells: map[cell]map[string][]float64{}})
		}
		size := labels["size"]
		if labels["takeover"] == "true" {
			size += ", takeover"
		}
		grids[at].add(size, labels["by"], result.Values)
	}
	return grids, r.Err()
}

func (g *grid) add(size, by string, values []benchfmt.Value) {
	if !slices.Contains(g.sizes, size) {
		g.sizes = append(g.sizes, size)
	}
	if !slices.Contains(g.by, by) {
		g.by = append(g.by, by)
	}
	c := cell{size, by}
	if g.cells[c] == nil {
		g.cells[c] = map[string][]float64{}
	}
	for _, v := range values {
		value, unit := v.Value, v.Unit
		if v.OrigUnit != "" {
			value, unit = v.OrigValue, v.OrigUnit
		}
		g.cells[c][unit] = append(g.cells[c][unit], value)
	}
}

// median returns the median over the rounds, or NaN if there is none.
func (g *grid) median(size, by, unit string) float64 {
	return median(slices.Clone(g.cells[cell{size, by}][unit]))
}

// ratio returns the ratio to the time of the first contestant: the median over the rounds.
func (g *grid) ratio(size, by string) float64 {
	own, first := g.cells[cell{size, by}]["ns/op"], g.cells[cell{size, g.by[0]}]["ns/op"]
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
	slices.Sort(x)
	return x[len(x)/2]
}

// measureOverLoopback prints each table when it is complete.
func measureOverLoopback(e extent) (tables []*loopback.Table, err error) {
	lab, err := loopback.Open(true)
	if err != nil {
		return nil, err
	}
	defer lab.Close()
	for _, c := range loopback.Cases {
		if !e.cases(c) {
			continue
		}
		t := loopback.NewTable(c, c.Contestants())
		for range e.turns {
			t.AddRound(lab, e.timing)
		}
		t.Print(os.Stdout)
		tables = append(tables, t)
	}
	return tables, nil
}
