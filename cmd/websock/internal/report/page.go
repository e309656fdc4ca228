package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/chart"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

var (
	//go:embed page.css
	pageStyle template.CSS

	//go:embed page.html
	pageText string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// WritePage writes the report as a self-contained web page. It has no scripts, and nothing that a page
// which is shown to others must not have: secrets in URLs and flags are hidden.
func (r *Report) WritePage(w io.Writer) error {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, page{r}); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// A page has what the template shows.
type page struct{ *Report }

// Styles returns the style sheets.
func (p page) Styles() template.CSS { return chart.Style + pageStyle }

// harmless returns a text without secrets in URLs, and without control characters, which a page can't have.
func harmless(text string) string { return hideInURLs(string(console.Printable([]byte(text)))) }

// Servers says what was measured.
func (p page) Servers() string { return harmless(strings.Join(HideSecrets(p.URLs), " ")) }

// Verdict says whether the run was good.
func (p page) Verdict() verdict {
	switch {
	case p.Held != nil && *p.Held:
		return verdict{true, "All thresholds held"}
	case p.Held != nil:
		return verdict{false, "Not all thresholds held"}
	case p.Succeeded():
		return verdict{true, "The run succeeded"}
	}
	return verdict{false, "The run failed"}
}

// A verdict says how the run ended.
type verdict struct {
	Good bool
	Text string
}

// A tile is a figure that matters most.
type tile struct{ Label, Value, Note string }

// Tiles returns the figures that matter most.
func (p page) Tiles() (tiles []tile) {
	add := func(label, value, note string, args ...any) {
		tiles = append(tiles, tile{label, value, fmt.Sprintf(note, args...)})
	}
	add(p.unit()+"s", console.Grouped(p.Connections), "of %s", console.Grouped(p.Asked))
	if p.Due > 0 && p.Seconds > 0 {
		add("sent a second", grouped(float64(p.Due-p.Unsent)/p.Seconds), "of %s asked for", grouped(float64(p.Due)/p.Seconds))
		add("received a second", grouped(p.receivedPerSecond()), "for %.1f s", p.Seconds)
	} else {
		add("messages a second", grouped(p.MessagesPerSecond), "for %.1f s", p.Seconds)
	}
	for _, h := range []struct {
		label string
		*measure.Histogram
	}{{"latency", p.result.Latencies}, {"one-way latency", p.result.OneWay}} {
		if h.Count() > 0 {
			add(h.label+" p50", chart.Duration(h.Quantile(0.5)), "of %s messages", console.Grouped(h.Count()))
			add(h.label+" p99", chart.Duration(h.Quantile(0.99)), "max %s", chart.Duration(h.Max()))
		}
	}
	note := "in all"
	if p.Reconnects > 0 {
		note = console.Grouped(p.Reconnects) + " reconnected"
	}
	add("errors", console.Grouped(p.ErrorsTotal), "%s", note)
	return tiles
}

// receivedPerSecond returns how many messages came in a second: none, if the server sent nothing.
func (p page) receivedPerSecond() float64 {
	if p.Received == 0 {
		return 0
	}
	return p.MessagesPerSecond
}

// Phases says what the run did until when.
func (p page) Phases() string {
	var parts []string
	for _, phase := range newTimeline(p.samples).phases {
		parts = append(parts, phase.Name+" until "+chart.Duration(time.Duration(phase.To*float64(time.Second))))
	}
	return strings.Join(parts, ", ")
}

// A figured section has its charts as HTML.
type figured struct {
	section
	Figures []template.HTML
}

// Sections draws the charts.
func (p page) Sections() (all []figured, err error) {
	for _, s := range p.sections() {
		f := figured{section: s}
		for _, c := range s.Charts {
			html, err := c.HTML()
			if err != nil {
				return nil, err
			}
			f.Figures = append(f.Figures, html)
		}
		all = append(all, f)
	}
	return all, nil
}

// MemberColumns returns the titles of the table of Members.
func (p page) MemberColumns() []string { return memberColumns }

// Members returns the table of the members of the cluster.
func (p page) Members() (lines [][]string) {
	if p.Cluster != nil && p.Cluster.Status != nil {
		for i := range p.Cluster.Status.Members {
			lines = append(lines, memberCells(&p.Cluster.Status.Members[i]))
		}
	}
	return lines
}

// A pageRow is a line of the table. A part of the line above is indented.
type pageRow struct {
	row
	Indented bool
}

// Rows returns the report as a table.
func (p page) Rows() (rows []pageRow) {
	shown := *p.Report
	shown.URLs = HideSecrets(p.URLs)
	for _, r := range shown.rows() {
		label, indented := strings.CutPrefix(r.Label, "  ")
		rows = append(rows, pageRow{row{label, harmless(r.Value)}, indented})
	}
	return rows
}

// EnvironmentRows returns the table of where the run was made.
func (p page) EnvironmentRows() []row { return p.Environment.rows() }

// CommandLine returns the command that was run.
func (p page) CommandLine() string { return harmless(p.Environment.commandLine()) }
