package chart

import (
	"math"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// The size of what is drawn, in units of the SVG. It is stretched to the size of the page.
const (
	width  = 1000
	height = 400
)

// A path is the outline of a shape, in the words of SVG.
type path struct{ strings.Builder }

func tenth(v float64) float64 { return math.Round(v*10) / 10 }

// to appends a command, and its coordinates.
func (p *path) to(command string, coordinates ...float64) {
	p.WriteString(command)
	for i, v := range coordinates {
		if i > 0 {
			p.WriteByte(' ')
		}
		p.WriteString(strconv.FormatFloat(tenth(v), 'f', -1, 64))
	}
}

func (d drawing) x(v float64) float64 { return width * d.X.position(v) }
func (d drawing) y(v float64) float64 { return height * (1 - d.Y.position(v)) }

// Grid returns lines at the labels of the Y axis.
func (d drawing) Grid() string {
	var p path
	for _, t := range d.Y.ticks {
		p.to("M", 0, d.y(t.at))
		p.to("H", width)
	}
	return p.String()
}

// Bounds returns lines where a part of the X axis begins.
func (d drawing) Bounds() string {
	var p path
	for _, part := range d.Parts {
		if x := d.x(part.From); x > 0 {
			p.to("M", x, 0)
			p.to("V", height)
		}
	}
	return p.String()
}

// A shape is a path, and what it looks like.
type shape struct {
	Path   string
	Colour Colour
	Dash   Dash
}

// Curves returns the lines.
func (d drawing) Curves() (shapes []shape) {
	for _, s := range d.Lines {
		var p path
		command := "M"
		for _, point := range s.Points {
			if math.IsNaN(point.Y) {
				command = "M"
				continue
			}
			p.to(command, d.x(point.X), d.y(point.Y))
			command = "L"
		}
		shapes = append(shapes, shape{p.String(), s.Colour, s.Dash})
	}
	return shapes
}

// Areas returns the areas of the stack, from the lowest on.
func (d drawing) Areas() (shapes []shape) {
	if len(d.Stack) == 0 {
		return nil
	}
	below := make([]float64, len(d.Stack[0].Points))
	for _, s := range d.Stack {
		var p path
		command := "M"
		for i, point := range s.Points {
			p.to(command, d.x(point.X), d.y(below[i]+point.Y))
			command = "L"
		}
		for i := len(s.Points) - 1; i >= 0; i-- {
			p.to("L", d.x(s.Points[i].X), d.y(below[i]))
			below[i] += s.Points[i].Y
		}
		p.WriteByte('Z')
		shapes = append(shapes, shape{p.String(), s.Colour, Solid})
	}
	return shapes
}

// levels is how many colours a heat map has.
const levels = 8

// level returns the number of a count's colour.
func (m *HeatMap) level(count, largest int64) int {
	if largest <= 1 {
		return levels - 1
	}
	return int(math.Round((levels - 1) * math.Log(float64(count)) / math.Log(float64(largest))))
}

func (m *HeatMap) largest() (largest int64) {
	for _, cell := range m.Cells {
		largest = max(largest, cell.Count)
	}
	return largest
}

// Largest returns the largest count of a cell.
func (m *HeatMap) Largest() string { return console.Grouped(m.largest()) }

// Heat returns the cells of each colour as one path.
func (d drawing) Heat() []string {
	if d.Cells == nil {
		return nil
	}
	paths := make([]path, levels)
	largest := d.Cells.largest()
	for _, cell := range d.Cells.Cells {
		if cell.Count <= 0 {
			continue
		}
		// Whole numbers keep pages small: there are many cells.
		left, right := math.Round(d.x(cell.Left)), math.Round(d.x(cell.Right))
		top, bottom := math.Round(d.y(cell.Top)), math.Round(d.y(cell.Bottom))
		p := &paths[d.Cells.level(cell.Count, largest)]
		p.to("M", left, top)
		p.to("h", max(right-left, 1))
		p.to("v", max(bottom-top, 1))
		p.to("H", left)
	}
	texts := make([]string, len(paths))
	for i := range paths {
		texts[i] = paths[i].String()
	}
	return texts
}
