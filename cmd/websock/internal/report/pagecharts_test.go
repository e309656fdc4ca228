package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/chart"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// chartNamed returns a chart of the report, and fails the test if there is none.
func chartNamed(t *testing.T, r *Report, title string) *chart.Chart {
	t.Helper()
	for _, s := range r.sections() {
		for _, c := range s.Charts {
			if c.Title == title {
				return c
			}
		}
	}
	t.Fatalf("no chart %q", title)
	return nil
}

// titles returns those of the sections, each with its charts.
func titles(r *Report) string {
	var all []string
	for _, s := range r.sections() {
		var charts []string
		for _, c := range s.Charts {
			charts = append(charts, c.Title)
		}
		all = append(all, s.Title+": "+strings.Join(charts, ", "))
	}
	return strings.Join(all, "; ")
}

func TestChartsAreThoseOfWhatWasMeasured(t *testing.T) {
	http2 := &Report{HTTP2: &HTTP2{}, result: measure.NewResult()}
	reconnecting := &Report{result: measure.NewResult(), samples: []measure.Sample{{}, {At: time.Second, Snapshot: measure.Snapshot{Reconnects: 2}}}}
	for _, test := range []struct {
		name   string
		report *Report
		want   string
	}{
		{"nothing", &Report{result: measure.NewResult()}, "Messages and connections: Messages a second, Connections by state; Errors: "},
		{"a schedule", stalledRun(), "Latency: Latency over time, Percentiles, One-way latency over time, Lateness of sending over time; " +
			"Messages and connections: Messages a second, Connections by state; Errors: Errors by kind"},
		{"HTTP/2", http2, "Messages and connections: Messages a second, WebSockets by state, HTTP/2 connections, WebSockets on HTTP/2 connections; Errors: "},
		{"reconnections", reconnecting, "Messages and connections: Messages a second, Connections by state; Errors: Reconnections"},
		{"a cluster", &Report{Cluster: &Cluster{}, result: measure.NewResult()}, "Messages and connections: Messages a second, Connections by state; Errors: ; " +
			"Cluster: Members of the cluster, Keys connected, Partitions held, Partitions moved, so far"},
	} {
		if got := titles(test.report); got != test.want {
			t.Errorf("%s: %s", test.name, got)
		}
	}
}

func TestHeatMapHasEveryAnswerWhereItIs(t *testing.T) {
	r := stalledRun()
	c := chartNamed(t, r, "Latency over time")
	var all, slow int64
	for _, cell := range c.Cells.Cells {
		all += cell.Count
		if cell.Bottom >= 0.1 { // 100 ms
			slow += cell.Count
			if cell.Left < 6.8 || cell.Right > 7.1 {
				t.Errorf("slow answers from %v to %v s", cell.Left, cell.Right)
			}
		}
		if cell.Top <= cell.Bottom || cell.Right <= cell.Left {
			t.Errorf("%+v", cell)
		}
	}
	if all != r.result.Latencies.Count() || slow < 1850 || slow > 1950 { // of 2000, from 0 to 2 s
		t.Errorf("%d answers, %d of them slow", all, slow)
	}
	for _, line := range c.Lines {
		for _, p := range line.Points {
			if exchanging := p.X > 1 && p.X < 4.85 || p.X > 6.95 && p.X < 10.8; math.IsNaN(p.Y) && exchanging || !math.IsNaN(p.Y) && p.X > 5.05 && p.X < 6.85 {
				t.Errorf("%s at %v s: %v", line.Name, p.X, p.Y)
			}
		}
	}
	if !strings.Contains(c.About, "10,000 answers") {
		t.Error(c.About)
	}
}

func TestPercentileCurvesEndAtTheMaximum(t *testing.T) {
	r := stalledRun()
	c := chartNamed(t, r, "Percentiles")
	var names []string
	for i, line := range c.Lines {
		names = append(names, line.Name)
		h := []*measure.Histogram{r.result.Latencies, r.result.ClosedLoop, r.result.OneWay, r.result.Lateness}[i]
		if last := line.Points[len(line.Points)-1]; last.Y != h.Max().Seconds() || math.Abs(last.X-(1-1/float64(h.Count()))) > 1e-9 {
			t.Errorf("%s ends at %v", line.Name, last)
		}
		if !slices.IsSortedFunc(line.Points, func(a, b chart.Point) int { return cmp.Compare(a.Y, b.Y) }) {
			t.Errorf("%s falls", line.Name)
		}
		for _, p := range line.Points[:len(line.Points)-1] {
			if p.Y != h.Quantile(p.X).Seconds() {
				t.Errorf("%s at %v: %v", line.Name, p.X, p.Y)
			}
		}
	}
	want := []string{"latency from when a message was due (corrected)", "latency in a closed loop (not corrected)", "one-way latency", "lateness of sending"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	for _, row := range c.Table.Rows {
		if row.Cells[0] == "p99" && (row.Cells[1] != r.result.Latencies.Quantile(0.99).String() || row.Cells[2] != r.result.ClosedLoop.Quantile(0.99).String()) {
			t.Errorf("%q", row.Cells)
		}
	}
	r.result.ClosedLoop, r.result.Lateness, r.result.OneWay = measure.NewHistogram(), measure.NewHistogram(), measure.NewHistogram()
	if c := chartNamed(t, r, "Percentiles of latency"); len(c.Lines) != 1 || c.Lines[0].Name != "latency" {
		t.Errorf("of a closed loop: %+v", c.Lines)
	}
}

// at returns the value of a line at a time.
func at(s chart.Series, x float64) float64 {
	i := slices.IndexFunc(s.Points, func(p chart.Point) bool { return p.X >= x })
	return s.Points[i].Y
}

func TestRatesAndStatesAreThoseOfTheSamples(t *testing.T) {
	r := stalledRun()
	rates := chartNamed(t, r, "Messages a second")
	for i, want := range []struct {
		name            string
		before, stalled float64
	}{{"received", 1000, 0}, {"sent", 1000, 1000}, {"asked for", 1000, 1000}} {
		line := rates.Lines[i]
		if before, stalled := at(line, 3), at(line, 6); line.Name != want.name || math.Abs(before-want.before) > 1e-6 || math.Abs(stalled-want.stalled) > 1e-6 {
			t.Errorf("%s: %v, %v when the server stalls", line.Name, before, stalled)
		}
	}
	states := chartNamed(t, r, "Connections by state")
	got := map[string][]float64{}
	for _, s := range states.Stack {
		got[s.Name] = []float64{at(s, 0.5), at(s, 5), at(s, 12)}
	}
	want := map[string][]float64{"up": {45, 95, 0}, "connecting": {10, 0, 0}, "waiting to dial": {45, 0, 0}, "ended": {0, 5, 100}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
	if asked := states.Lines[0]; asked.Name != "asked for" || at(asked, 5) != 100 {
		t.Errorf("%+v", asked)
	}
}

func TestErrorsAreStackedByKindMostFrequentFirst(t *testing.T) {
	r := stalledRun()
	c := chartNamed(t, r, "Errors by kind")
	if len(c.Stack) != 2 || c.Stack[0].Name != "close code 1011" || c.Stack[1].Name != "dial timeout" {
		t.Fatalf("%+v", c.Stack)
	}
	for i, perSecond := range []float64{30, 20} { // 3 and 2 in a tenth of a second
		if got := highest(c.Stack[i : i+1]); math.Abs(got-perSecond) > 1e-6 {
			t.Errorf("%s: %v a second", c.Stack[i].Name, got)
		}
	}
}

func TestRareKindsOfErrorsAreOne(t *testing.T) {
	last := measure.Snapshot{ErrorsByKind: map[string]int64{}}
	for i := range int64(20) {
		last.ErrorsByKind[fmt.Sprintf("close code %d", 4000+i)] = 1 + i
		last.Errors += 1 + i
	}
	kinds := errorKinds(&last)
	if len(kinds) != 7 || kinds[0].name != "close code 4019" || kinds[6].name != "other kinds" || kinds[6].of(&last) != 14*15/2 {
		t.Errorf("%d: %+v", len(kinds), kinds)
	}
	if kinds := errorKinds(&measure.Snapshot{Errors: 3}); len(kinds) != 1 || kinds[0].of(&measure.Snapshot{Errors: 3}) != 3 {
		t.Errorf("of no known kind: %+v", kinds)
	}
}
