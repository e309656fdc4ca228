package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
)

// A Comparison says how the results of two runs differ. Its JSON form is read by other programs.
type Comparison struct {
	Before string `json:"before"`
	After  string `json:"after"`

	Notes   []string `json:"notes,omitempty"`
	Options []Option `json:"options,omitempty"` // that differ
	Figures []Change `json:"figures"`           // that one of the runs has, at least
	Worse   bool     `json:"worse"`             // one of the figures that decide is, by more than is allowed
}

// An Option is something that was asked for differently.
type Option struct {
	Key    string `json:"option"`
	Before string `json:"before"`
	After  string `json:"after"`
	label  string
}

// A Change is how a figure changed.
type Change struct {
	Key     string   `json:"figure"`
	Before  *float64 `json:"before"` // nil: it was not measured
	After   *float64 `json:"after"`
	Percent *float64 `json:"change_percent"` // nil: one of the runs doesn't have it, or it was 0
	Verdict Verdict  `json:"verdict,omitempty"`
	of      *figure
}

// visible is the least change, in percent, that the table shows.
const visible = 0.05

// A Verdict says whether a change is good.
type Verdict string

// The verdicts. "" is neither, or no change.
const (
	Better Verdict = "better"
	Worse  Verdict = "worse"
	TooFar Verdict = "too much worse" // by more than is allowed, of a figure that decides
)

// Judging says which figures decide whether the later run is worse, and by how many percent they may be.
type Judging struct {
	Above float64  // percent
	Keys  []string // of figures; none: those that are known to vary little between runs
}

// Compare compares two results. judging may be nil: then no change is too much.
func Compare(before, after Summary, judging *Judging) Comparison {
	c := Comparison{Before: before.Name, After: after.Name}
	for _, s := range []Summary{before, after} {
		if version, _ := s.number("schema_version"); version > report.SchemaVersion {
			c.Notes = append(c.Notes, fmt.Sprintf("%s is of a later version of this program: it may mean something else by its figures", s.Name))
		}
	}
	c.Options = differingOptions(before, after)
	for i := range figures {
		f := &figures[i]
		change := f.change(before, after)
		if change.Before == nil && change.After == nil {
			continue
		}
		if judging != nil && judging.decides(f) && change.exceeds(judging.Above) {
			change.Verdict, c.Worse = TooFar, true
		}
		c.Figures = append(c.Figures, change)
	}
	return c
}

// differingOptions returns what was asked for differently. A server of its own has another port in every
// run.
func differingOptions(before, after Summary) (differ []Option) {
	for _, o := range options {
		b, a := before.text(o.key), after.text(o.key)
		if b == "" {
			b = defaults[o.key]
		}
		if a == "" {
			a = defaults[o.key]
		}
		own := o.key == "urls" && before.text("server") == after.text("server") && before.text("server") != "given"
		if b != a && !own {
			differ = append(differ, Option{o.key, b, a, o.label})
		}
	}
	return differ
}

func (j *Judging) decides(f *figure) bool {
	if len(j.Keys) > 0 {
		return slices.Contains(j.Keys, f.key)
	}
	return f.judge
}

// change returns how the figure changed.
func (f *figure) change(before, after Summary) Change {
	c := Change{Key: f.key, of: f}
	b, hadIt := f.value(before)
	a, hasIt := f.value(after)
	if hadIt {
		c.Before = &b
	}
	if hasIt {
		c.After = &a
	}
	if percent := math.Round(10_000*(a-b)/b) / 100; hadIt && hasIt && !math.IsNaN(percent) && !math.IsInf(percent, 0) {
		c.Percent = &percent // b is not 0, nor too small
	}
	switch worse := c.worseBy(); {
	case worse >= visible:
		c.Verdict = Worse
	case worse <= -visible:
		c.Verdict = Better
	}
	return c
}

// worseBy returns by how many percent the figure is worse than it was, below 0 if it is better.
func (c *Change) worseBy() float64 {
	switch {
	case c.of.better == neither:
		return 0
	case c.Before != nil && c.After == nil && c.of.needed:
		return math.MaxFloat64
	case c.Before == nil || c.After == nil:
		return 0
	case *c.Before == 0 && *c.After != 0:
		return math.Copysign(math.MaxFloat64, -*c.After*float64(c.of.better))
	case *c.Before == 0:
		return 0
	}
	return -float64(c.of.better) * 100 * (*c.After - *c.Before) / *c.Before
}

// exceeds reports whether the figure is worse by more than some percent.
func (c *Change) exceeds(percent float64) bool { return c.worseBy() > percent }

// WriteJSON writes the comparison as one JSON object.
func (c *Comparison) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(c) }

// WriteTable writes the comparison as a table for people.
func (c *Comparison) WriteTable(w io.Writer) error {
	var b strings.Builder
	for _, note := range c.Notes {
		fmt.Fprintln(&b, note)
	}
	if len(c.Options) > 0 {
		fmt.Fprintln(&b, "The runs were asked for different things:")
		for _, o := range c.Options {
			fmt.Fprintf(&b, "  %s: %s, then %s\n", o.label, orNone(o.Before), orNone(o.After))
		}
		fmt.Fprintln(&b)
	}
	line := func(label, before, after, change string, verdict Verdict) {
		text := padRight(label, 23) + padLeft(before, 15) + padLeft(after, 15) + padLeft(change, 11) + "  " + string(verdict)
		fmt.Fprintln(&b, strings.TrimRight(text, " "))
	}
	line("", "before", "after", "change", "")
	for i := range c.Figures {
		f := &c.Figures[i]
		line(f.of.label, f.of.text(f.Before), f.of.text(f.After), f.text(), f.Verdict)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(option string) string {
	if option == "" {
		return "none"
	}
	return option
}

// text returns a value of the figure for people.
func (f *figure) text(value *float64) string {
	if value == nil {
		return "-"
	}
	return f.format(*value)
}

// text returns the change for people.
func (c *Change) text() string {
	switch {
	case c.Percent != nil && math.Abs(*c.Percent) >= visible:
		return fmt.Sprintf("%+.1f %%", *c.Percent)
	case c.Before != nil && c.After != nil && *c.Before != *c.After && *c.Before == 0:
		return "from 0"
	}
	return ""
}

func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(1, width-utf8.RuneCountInString(text))) + text
}

func padRight(text string, width int) string {
	return text + strings.Repeat(" ", max(1, width-utf8.RuneCountInString(text)))
}
