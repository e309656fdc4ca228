//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/loopback"
)

// A table has the results of one case, a row for each contestant.
type table struct {
	of   loopback.Case
	rows []row
}

type row struct {
	name    string
	results []loopback.Result
	ratios  []float64 // to the first contestant, in the same round
	failure error     // the last
}

func newTable(c loopback.Case, contestants []client.Contestant) *table {
	t := &table{of: c}
	for _, c := range contestants {
		t.rows = append(t.rows, row{name: c.Name})
	}
	return t
}

// addRound gives every contestant a turn. A ratio is of two that came soon after one
// another, so that a busy neighbour slows both.
func (t *table) addRound(lab *loopback.Lab, timing loopback.Timing) {
	var first float64
	for i := range t.rows {
		row := &t.rows[i]
		result, err := lab.Run(row.name, t.of, timing)
		if err != nil {
			row.failure = err
			continue
		}
		row.results = append(row.results, result)
		if i == 0 {
			first = t.figure(result)
		}
		if first > 0 {
			row.ratios = append(row.ratios, t.figure(result)/first)
		}
	}
}

// figure is what is compared.
func (t *table) figure(r loopback.Result) float64 {
	if t.of.Kind == loopback.Idle {
		return r.BytesPerConn
	}
	return r.MicrosPerMessage()
}

func (t *table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := messageColumns
	if t.of.Kind == loopback.Idle {
		columns = idleColumns
	}
	fmt.Fprintf(tw, "%s\t", t.of)
	for i, c := range columns {
		fmt.Fprintf(tw, "%s\t", c.name)
		if i == 0 {
			fmt.Fprintf(tw, "/%s\t", t.rows[0].name)
		}
	}
	fmt.Fprintln(tw)
	for _, row := range t.rows {
		row.print(tw, columns)
	}
	fmt.Fprintln(tw)
	tw.Flush()
}

// A column has medians over the rounds.
type column struct {
	name   string
	format string
	value  func(loopback.Result) float64
}

var messageColumns = []column{
	{"µs-cpu/msg", "%.2f", loopback.Result.MicrosPerMessage},
	{"msg/s", "%.0f", loopback.Result.Rate},
	{"reads/msg", "%.2f", loopback.Result.ReadsPerMessage},
	{"writes/msg", "%.2f", loopback.Result.WritesPerMessage},
	{"allocs/msg", "%.2f", loopback.Result.AllocsPerMessage},
}

var idleColumns = []column{
	{"B/conn", "%.0f", func(r loopback.Result) float64 { return r.BytesPerConn }},
	{"goroutines/conn", "%.2f", func(r loopback.Result) float64 { return r.GoroutinesPerConn }},
}

func (r *row) print(w io.Writer, columns []column) {
	fmt.Fprintf(w, "%s\t", r.name)
	if len(r.results) == 0 {
		fmt.Fprintf(w, "%v\n", r.failure)
		return
	}
	for i, c := range columns {
		values := make([]float64, len(r.results))
		for i := range values {
			values[i] = c.value(r.results[i])
		}
		fmt.Fprintf(w, c.format+"\t", median(values))
		if i == 0 && len(r.ratios) > 0 {
			fmt.Fprintf(w, "%.2f\t", median(r.ratios))
		}
	}
	if r.failure != nil {
		fmt.Fprintf(w, "once: %v", r.failure)
	}
	fmt.Fprintln(w)
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
