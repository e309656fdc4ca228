//go:build linux

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// A palette has the colours of a chart.
type palette struct{ page, text, faint, ours, others, bound string }

var (
	light = palette{page: "#ffffff", text: "#1f2328", faint: "#59636e", ours: "#0969da", others: "#afb8c1", bound: "#cf222e"}
	dark  = palette{page: "#0d1117", text: "#f0f6fc", faint: "#9198a1", ours: "#4493f8", others: "#57606a", bound: "#ff7b72"}
)

// Sizes in pixels. Two charts stand side by side on a wide page, and one fits on a telephone.
const (
	width     = 410
	margin    = 12
	rowHeight = 20
	barHeight = 12
	fontSize  = 12
	heading   = 56 // above the first bar
)

// svg returns the chart as a file of its own.
func (c *chart) svg(p palette) []byte {
	var w bytes.Buffer
	footer := margin
	if !math.IsNaN(c.bound) {
		footer += rowHeight
	}
	bottom := heading + rowHeight*len(c.bars)
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="%d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" font-family="-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif" font-size="%[3]d" fill="%[4]s">`+"\n",
		width, bottom+footer, fontSize, p.text)
	fmt.Fprintf(&w, "<title>%s</title>\n<desc>%s</desc>\n", escaped(c.title), escaped(c.description()))
	fmt.Fprintf(&w, `<rect width="100%%" height="100%%" rx="6" fill="%s"/>`+"\n", p.page)
	fmt.Fprintf(&w, `<text x="%d" y="22" font-size="14" font-weight="600">%s</text>`+"\n", margin, escaped(c.title))
	fmt.Fprintf(&w, `<text x="%d" y="40" fill="%s">%s; less is better</text>`+"\n", margin, p.faint, escaped(c.unit))
	left, scale := c.layout()
	for i, b := range c.bars {
		b.draw(&w, p, heading+rowHeight*i, left, scale)
	}
	if !math.IsNaN(c.bound) {
		x := left + c.bound*scale
		fmt.Fprintf(&w, `<path d="M%.1f %dV%d" stroke="%s" stroke-width="1.5" stroke-dasharray="4 3"/>`+"\n", x, heading-4, bottom+2, p.bound)
		fmt.Fprintf(&w, `<text x="%.1f" y="%d" fill="%s"%s>bound: %s</text>`+"\n", x, bottom+15, p.bound, anchor(x), digits(c.bound))
	}
	fmt.Fprintln(&w, "</svg>")
	return w.Bytes()
}

// layout returns where bars begin, and the pixels for a unit. There is room for the names on the left and
// for the figure beside the longest bar.
func (c *chart) layout() (left, scale float64) {
	const letter, gap, figure = 6.8, 14, 6 * 7 // about as wide as they are in most fonts
	most := c.bound
	for _, b := range c.bars {
		name, language := utf8.RuneCountInString(b.label()), utf8.RuneCountInString(b.language)
		left = max(left, margin+letter*float64(name+language)+2*gap)
		most = -least(-most, -b.value)
	}
	return left, (width - margin - figure - left) / most
}

// draw draws a bar with its name and language on the left and its figure on the right.
func (b bar) draw(w *bytes.Buffer, p palette, top int, left, scale float64) {
	const baseline = 10
	colour, weight := p.others, "400"
	if b.ours() && !b.reference {
		colour, weight = p.ours, "600"
	}
	length := max(1, b.value*scale)
	fmt.Fprintf(w, `<text x="%d" y="%d" font-weight="%s">%s</text>`, margin, top+baseline, weight, escaped(b.label()))
	fmt.Fprintf(w, `<text x="%.1f" y="%d" fill="%s" text-anchor="end">%s</text>`, left-8, top+baseline, p.faint, escaped(b.language))
	fmt.Fprintf(w, `<rect x="%.1f" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`, left, top, length, barHeight, colour)
	fmt.Fprintf(w, `<text x="%.1f" y="%d" font-weight="%s">%s</text>`+"\n", left+length+5, top+baseline, weight, digits(b.value))
}

// label returns the name, or what a reference is there for.
func (b bar) label() string {
	if b.reference {
		return "without HTTP/2"
	}
	return b.name
}

// anchor keeps a text within the chart that begins far to the right.
func anchor(x float64) string {
	if x > width*3/4 {
		return ` text-anchor="end"`
	}
	return ""
}

// description says what the chart shows.
func (c *chart) description() string {
	var parts []string
	for _, b := range c.bars {
		parts = append(parts, fmt.Sprintf("%s (%s) %s", b.label(), b.language, digits(b.value)))
	}
	if !math.IsNaN(c.bound) {
		parts = append(parts, "bound "+digits(c.bound))
	}
	return fmt.Sprintf("%s: %s", c.unit, strings.Join(parts, ", "))
}

func escaped(s string) string {
	var w strings.Builder
	xml.EscapeText(&w, []byte(s))
	return w.String()
}
