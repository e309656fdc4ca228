package live

import (
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A style says what a text is about; a theme has the colours of each.
type style uint8

const (
	plain  style = iota
	strong       // what is looked for first
	label        // what other texts are
	good
	busy
	waiting
	bad
	sent
	received
	median
	tail
	styles // their number
)

// A cell is the place of one column of a line. A character that takes two columns is in the first of its
// cells, and the second one has no text.
type cell struct {
	text  string
	style style
}

// A canvas is what a terminal shows: lines of cells.
type canvas struct {
	width, height int
	cells         []cell
}

func newCanvas(width, height int) *canvas {
	width, height = max(width, 0), max(height, 0)
	cells := make([]cell, width*height)
	for i := range cells {
		cells[i].text = " "
	}
	return &canvas{width, height, cells}
}

// line returns the cells of a line.
func (c *canvas) line(y int) []cell { return c.cells[y*c.width : (y+1)*c.width] }

// String returns the lines without colours, and without spaces at their ends.
func (c *canvas) String() string {
	var all strings.Builder
	for y := range c.height {
		var line strings.Builder
		for _, cell := range c.line(y) {
			line.WriteString(cell.text)
		}
		all.WriteString(strings.TrimRight(line.String(), " "))
		all.WriteByte('\n')
	}
	return all.String()
}

// An area is a part of a canvas. What is put outside of it is cut off.
type area struct {
	canvas              *canvas
	x, y, width, height int
}

func (c *canvas) all() area { return area{c, 0, 0, c.width, c.height} }

// part returns the part of an area that begins at x, y, as far as there is one.
func (a area) part(x, y, width, height int) area {
	x, y = min(max(x, 0), a.width), min(max(y, 0), a.height)
	return area{a.canvas, a.x + x, a.y + y, min(max(width, 0), a.width-x), min(max(height, 0), a.height-y)}
}

// lines returns the part of an area from line y on.
func (a area) lines(y, height int) area { return a.part(0, y, a.width, height) }

// maxCluster is how many bytes of combined characters one place may have: a text could have a thousand of
// them on one letter.
const maxCluster = 32

// put writes a text at x, y, and returns where it ends.
func (a area) put(x, y int, s style, text string) (end int) {
	if y < 0 || y >= a.height || x < 0 {
		return x
	}
	line := a.canvas.line(a.y + y)[a.x : a.x+a.width]
	clusters := displaywidth.StringGraphemes(text)
	for clusters.Next() {
		width, text := clusters.Width(), clusters.Value()
		if x+width > a.width {
			break
		}
		if width == 0 {
			continue
		}
		if len(text) > maxCluster {
			_, n := utf8.DecodeRuneInString(text)
			text = text[:n]
		}
		line[x] = cell{text, s}
		for i := 1; i < width; i++ {
			line[x+i] = cell{"", s}
		}
		x += width
	}
	return x
}

// putRight writes a text that ends at the right edge of an area, and returns where it begins.
func (a area) putRight(y int, s style, text string) (begin int) {
	begin = max(a.width-displaywidth.String(text), 0)
	a.put(begin, y, s, text)
	return begin
}

// A span is a text in one style.
type span struct {
	style style
	text  string
}

// putSpans writes spans one after the other from x on, if there is room for all.
func (a area) putSpans(x, y int, spans ...span) (end int) {
	width := 0
	for _, s := range spans {
		width += displaywidth.String(s.text)
	}
	if x+width > a.width {
		return x
	}
	for _, s := range spans {
		x = a.put(x, y, s.style, s.text)
	}
	return x
}

// fill puts a character of one column into all places of an area.
func (a area) fill(s style, char string) {
	for y := range a.height {
		a.put(0, y, s, strings.Repeat(char, a.width))
	}
}

// cut shortens a text to a width.
func cut(text string, width int) string {
	return displaywidth.TruncateString(text, max(width, 0), "…")
}

// oneLine makes a text harmless, and one line of it.
func oneLine(text string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(string(console.Printable([]byte(text))))
}
