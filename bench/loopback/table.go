//go:build linux

package loopback

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A Table has the results of one case, a row for each contestant. The rows are compared with the first.
type Table struct {
	Case   Case
	Rows   []Row
	Ranges bool // Cells has the least and the largest figures, in place of medians
}

// A Row has the results of a contestant.
type Row struct {
	Contestant
	Failure error // the last error, or nil

	results []Result
	ratios  []float64 // to the first contestant, in the same round
}

// NewTable returns a table without results.
func NewTable(c Case, contestants []Contestant) *Table {
	t := &Table{Case: c}
	for _, c := range contestants {
		t.Rows = append(t.Rows, Row{Contestant: c})
	}
	return t
}

// AddRound gives every contestant a turn. Ratios are computed for each round, so that other load slows
// both contestants.
func (t *Table) AddRound(lab *Lab, timing Timing) {
	results, errs := make([]Result, len(t.Rows)), make([]error, len(t.Rows))
	for i, row := range t.Rows {
		results[i], errs[i] = lab.Run(row.Contestant, t.Case, timing)
	}
	t.add(results, errs)
}

// AddSlicedRound is AddRound by RunSliced.
func (t *Table) AddSlicedRound(lab *Lab, timing Timing, slice time.Duration) {
	var contestants []Contestant
	for _, row := range t.Rows {
		contestants = append(contestants, row.Contestant)
	}
	t.add(lab.RunSliced(contestants, t.Case, timing, slice))
}

// add adds the results of a round, one for each row.
func (t *Table) add(results []Result, errs []error) {
	compared := t.Case.Figures()[0].Of
	var first float64
	for i, result := range results {
		row := &t.Rows[i]
		if errs[i] != nil {
			row.Failure = errs[i]
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

// Print prints medians over the rounds.
func (t *Table) Print(w io.Writer) {
	fmt.Fprintln(w, t.Case)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, cells := range t.Cells() {
		fmt.Fprintln(tw, strings.Join(cells, "\t")+"\t")
	}
	tw.Flush()
	for _, row := range t.Rows {
		switch {
		case errors.Is(row.Failure, ErrLeftOut):
			fmt.Fprintf(w, "%s is left out: %v\n", row.Name, row.Failure)
		case row.Failure != nil:
			fmt.Fprintf(w, "%s failed: %v\n", row.Name, row.Failure)
		}
	}
	fmt.Fprintln(w)
}

// Cells returns the table as text: a line of headings, and one for each contestant that isn't left out.
func (t *Table) Cells() (lines [][]string) {
	figures := t.Case.Figures()
	headings := []string{""}
	for i, f := range figures {
		headings = append(headings, f.Unit)
		if i == 0 {
			headings = append(headings, "/ "+t.Rows[0].Name)
		}
	}
	lines = append(lines, headings)
	for _, row := range t.Rows {
		if errors.Is(row.Failure, ErrLeftOut) {
			continue
		}
		cells := []string{row.Name}
		for i, f := range figures {
			cells = append(cells, t.cell(f.Format, row.Figures(f)))
			if i == 0 {
				cells = append(cells, t.cell("%.2f", row.ratios))
			}
		}
		lines = append(lines, cells)
	}
	return lines
}

// cell returns the text for a figure in all rounds.
func (t *Table) cell(as string, values []float64) string {
	if t.Ranges && len(values) > 0 {
		return format(as, slices.Min(values)) + "–" + format(as, slices.Max(values))
	}
	return format(as, median(values))
}

// Median returns the median of a figure over the rounds, or NaN if there is none.
func (r *Row) Median(f Figure) float64 { return median(r.Figures(f)) }

// Figures returns a figure in all rounds.
func (r *Row) Figures(f Figure) []float64 {
	values := make([]float64, len(r.results))
	for i, result := range r.results {
		values[i] = f.Of(result)
	}
	return values
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	slices.Sort(x)
	return x[len(x)/2]
}

func format(format string, x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf(format, x)
}
