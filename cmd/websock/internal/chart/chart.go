// Package chart draws charts for web pages without scripts. What is drawn is SVG, which becomes as wide
// as the page allows; what is written is HTML around it, which keeps its size. Colours are variables of
// Style, which has them for light and for dark pages.
package chart

import (
	"bytes"
	_ "embed"
	"html/template"
	"math"
	"unicode/utf8"
)

// A Chart shows values of Y over X. It has areas, lines or cells, in any combination.
type Chart struct {
	Title string
	About string // what it shows, for those who don't see it
	Large bool   // it gets more height
	X, Y  Axis
	Parts []Part
	Stack []Series // areas, each on top of those before; all have points at the same X
	Lines []Series
	Cells *HeatMap
	Table Table
}

// A Part is a named part of the X axis, shown above the chart, with a line where it begins.
type Part struct {
	From, To float64
	Name     string
}

// A Series are points in the order of X.
type Series struct {
	Name   string
	Colour Colour
	Dash   Dash // of a line
	Points []Point
}

// A Point is a value. If Y is not a number, a line has a gap.
type Point struct{ X, Y float64 }

// A Colour is one that people with any colour vision can tell from the others.
type Colour int

// The colours. Grey is for what matters less, and Ink is that of text.
const (
	Blue Colour = iota
	Vermilion
	Green
	Purple
	Ochre
	Rose
	Grey
	Ink
)

// A Dash is the pattern of a line, so that lines differ not only by colour.
type Dash int

// The patterns.
const (
	Solid Dash = iota
	Dashed
	Dotted
)

// A HeatMap counts what is in the cells of the chart. The scale of its colours is logarithmic.
type HeatMap struct {
	Of    string // what is counted
	Cells []Cell
}

// A Cell is a rectangle of the axes' values.
type Cell struct {
	Left, Right, Bottom, Top float64
	Count                    int64
}

// A Table has the numbers of a chart, as text. Each row is about a part of the X axis, and is shown, too,
// when a pointer rests there.
type Table struct {
	Columns []string
	Rows    []Row
}

// A Row has the text of each column.
type Row struct {
	From, To float64
	Cells    []string
}

// Style is the style sheet of all charts.
//
//go:embed chart.css
var Style template.CSS

//go:embed chart.html
var chartText string

var chartTemplate = template.Must(template.New("chart").Parse(chartText))

// HTML returns the chart as a figure element.
func (c *Chart) HTML() (template.HTML, error) {
	var b bytes.Buffer
	err := chartTemplate.Execute(&b, drawing{c})
	return template.HTML(b.String()), err
}

// A drawing has what the template shows. Positions are percentages.
type drawing struct{ *Chart }

// A mark is a label at a position.
type mark struct {
	At    float64
	Label string
	Class string
}

// The classes of labels that there isn't always room for.
const (
	minor = "minor" // it is left out on a narrow page
	atEnd = "end"   // it ends at its position
)

// marks returns the labels of an axis. If they are more than roomy, every other one is minor.
func (d drawing) marks(a *Axis, roomy int) (marks []mark) {
	for i, t := range a.ticks {
		m := mark{At: percent(a.position(t.at)), Label: t.label}
		switch {
		case m.At > 95:
			m.Class = atEnd
		case len(a.ticks) > roomy && i%2 == 1:
			m.Class = minor
		}
		marks = append(marks, m)
	}
	return marks
}

// XMarks returns the labels of the X axis.
func (d drawing) XMarks() []mark { return d.marks(&d.X, 4) }

// YMarks returns the labels of the Y axis.
func (d drawing) YMarks() []mark { return d.marks(&d.Y, 6) }

// A band is a part of the X axis.
type band struct {
	Left, Width float64
	Name        string
	Class       string
	Fits        bool // the name, on a wide page
}

// Bands returns the parts of the X axis.
func (d drawing) Bands() (bands []band) {
	const (
		narrow = 290 // pixels that a chart has at least on a narrow page
		letter = 7
	)
	wide := 500.0 // pixels on a wide page
	if d.Large {
		wide = 1000
	}
	for _, p := range d.Parts {
		left, right := d.X.position(p.From), d.X.position(p.To)
		b := band{Left: percent(left), Width: percent(right - left), Name: p.Name}
		needed := letter * float64(1+utf8.RuneCountInString(p.Name))
		b.Fits = needed <= wide*(right-left)
		if needed > narrow*(right-left) {
			b.Class = minor
		}
		bands = append(bands, b)
	}
	return bands
}

// A hint is a rectangle over a part of the X axis, with text.
type hint struct {
	X, Width float64
	Lines    []string
}

// Hints returns the rows of the table where they are on the X axis.
func (d drawing) Hints() (hints []hint) {
	for _, row := range d.Table.Rows {
		left, right := d.X.position(row.From), d.X.position(row.To)
		h := hint{X: tenth(left * width), Width: tenth((right - left) * width)}
		for i, text := range row.Cells {
			h.Lines = append(h.Lines, d.Table.Columns[i]+": "+text)
		}
		hints = append(hints, h)
	}
	return hints
}

// A key explains a colour.
type key struct {
	Name   string
	Class  string
	Colour Colour
	Dash   Dash
}

// Keys returns the legend: areas from top to bottom, then lines. A single series needs none.
func (d drawing) Keys() (keys []key) {
	for i := range d.Stack {
		s := &d.Stack[len(d.Stack)-1-i]
		keys = append(keys, key{s.Name, "area", s.Colour, Solid})
	}
	for _, s := range d.Lines {
		keys = append(keys, key{s.Name, "line", s.Colour, s.Dash})
	}
	if len(keys) == 1 && d.Cells == nil {
		return nil
	}
	return keys
}

// percent returns a part as a percentage with two decimals.
func percent(part float64) float64 { return math.Round(part*10_000) / 100 }
