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
	compared := t.of.Figures()[0].Of
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
			first = compared(result)
		}
		if first > 0 {
			row.ratios = append(row.ratios, compared(result)/first)
		}
	}
}

// print writes medians over the rounds.
func (t *table) print(w io.Writer) {
	fmt.Fprintln(w, t.of)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	figures := t.of.Figures()
	fmt.Fprint(tw, "\t")
	for i, f := range figures {
		fmt.Fprintf(tw, "%s\t", f.Unit)
		if i == 0 {
			fmt.Fprintf(tw, "/ %s\t", t.rows[0].name)
		}
	}
	fmt.Fprintln(tw)
	for _, row := range t.rows {
		row.print(tw, figures)
	}
	tw.Flush()
	for _, row := range t.rows {
		if row.failure != nil {
			fmt.Fprintf(w, "%s failed: %v\n", row.name, row.failure)
		}
	}
	fmt.Fprintln(w)
}

func (r *row) print(w io.Writer, figures []loopback.Figure) {
	fmt.Fprintf(w, "%s\t", r.name)
	for i, f := range figures {
		values := make([]float64, len(r.results))
		for i, result := range r.results {
			values[i] = f.Of(result)
		}
		fmt.Fprintf(w, "%s\t", median(values, f.Format))
		if i == 0 {
			fmt.Fprintf(w, "%s\t", median(r.ratios, "%.2f"))
		}
	}
	fmt.Fprintln(w)
}

func median(x []float64, format string) string {
	if len(x) == 0 {
		return "-"
	}
	slices.Sort(x)
	return fmt.Sprintf(format, x[len(x)/2])
}
