//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

const preface = `# Results

Written by ` + "`make bench`" + `, not by hand. Compare within a table: between machines, and between two runs on a busy one, only ratios tell something. The bound checks nothing: no library can be faster. Over loopback it is called raw; with TLS it is a goroutine for each connection, which an event loop can beat. Names in **bold** are this library's.
`

const inMemory = "Nanoseconds for a message and, after the slash, how many times as long as the first row: medians over the rounds. Then allocations for a message where there are any. All contestants are in Go; a network in memory costs nothing."

const overLoopback = "The client has a processor of its own, and so has the server, which is the same for all. CPU time is that of the client, user and system; where messages are exchanged on at most 1,000 connections, all contestants run at the same time, in slices of 50 ms, and there are no rates. Programs in Java and JavaScript are compiled while they run, and warm up for two seconds more, or, where connections are opened, by as many as are measured. Turnaround, where p50 and p99 are given, is what the server sees from an echo to the next message. Reads and writes are those that the kernel counts, which leaves out recv and send: those of raw and transport/epoll. Allocations are those of programs in Go."

const overHTTP2 = "The same, with a number of WebSockets that share a connection (RFC 8441). websock-epoll, the first row, has a connection for each. [HTTP2.md](HTTP2.md) has more of these cases."

const asServers = "Here servers are compared, and the client is the same. Turnaround is what it sees from one echo to the next. [SERVERS.md](SERVERS.md) says what makes the difference."

// about describes the benchmarks in memory.
var about = map[string]string{
	"Receive":           "Receive binary messages, as many at once as fit into what is read. `view` and `decoder` hand out views of it, `buffer` copies to the caller's memory, `message` to a slice that grows.",
	"ReceiveText":       "Receive text of which most isn't ASCII. The bound, gobwas, gorilla, coder and xnet don't check it.",
	"Reply":             "Receive binary messages one by one and send each back.",
	"Send":              "Send binary messages, masked, the payload left intact.",
	"CompressedReceive": "Receive messages of JSON, compressed at the lowest level with windows of 32 KiB, with and without context takeover. Not all contestants can, and gorilla has no takeover.",
	"CompressedReply":   "The same, and send each back compressed.",
	"ParseHeader":       "Parse the header of an unmasked frame, of 2, 4 and 10 bytes.",
	"AppendHeader":      "Append that of a masked one, with 4 bytes more.",
	"Mask":              "Mask in place, at an odd address. XOR is this library's.",
}

// unchecked are contestants that don't check whether text is UTF-8, which isn't the same work.
var unchecked = []string{"gobwas", "gorilla", "coder", "xnet"}

// document returns all tables as Markdown.
func document(measured []measurement) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "%s\n", preface)
	writeSummary(&w, measured)
	for _, m := range measured {
		fmt.Fprintf(&w, "## %s\n\nMeasured on %s: %s. %s\n\n", m.title, m.date, m.machine, m.about)
		for _, g := range m.grids {
			if m.cases == nil {
				g.writeSizes(&w)
			} else {
				g.writeFigures(&w)
			}
		}
	}
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}

// writeSizes writes a table with a column for each size.
func (g *grid) writeSizes(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n%s\n\n", g.name, about[g.name])
	writeRow(w, append([]string{"bytes"}, g.columns...))
	writeRule(w, 1, len(g.columns))
	for _, by := range g.by {
		cells := []string{by.text()}
		for _, column := range g.columns {
			cells = append(cells, g.text(column, by.name))
		}
		writeRow(w, cells)
	}
	fmt.Fprintln(w)
}

func (g *grid) text(column, by string) string {
	ns := g.compared(column, by)
	if math.IsNaN(ns) {
		return "–"
	}
	s := fmt.Sprintf("%s / %.2f", digits(ns), g.ratio(column, by))
	if allocs := g.median(column, by, "allocs/op"); allocs > 0 {
		s += fmt.Sprintf(", %.0f allocs", allocs)
	}
	return s
}

// writeFigures writes a table with a column for each figure.
func (g *grid) writeFigures(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n", g.name)
	if len(g.by) > 0 {
		headings := []string{"", "language", g.units[0], "/ " + g.by[0].name}
		writeRow(w, append(headings, g.units[1:]...))
		writeRule(w, 2, len(g.units)+1)
	}
	for _, by := range g.by {
		cells := []string{by.text(), by.language}
		for i, unit := range g.units {
			cells = append(cells, digits(g.median("", by.name, unit)))
			if i == 0 {
				cells = append(cells, digits(g.ratio("", by.name)))
			}
		}
		writeRow(w, cells)
	}
	for _, failure := range g.failures {
		fmt.Fprintf(w, "\n%s\n", failure)
	}
	fmt.Fprintln(w)
}

func writeRow(w io.Writer, cells []string) {
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// writeRule writes the line below the headings, of columns with text and then columns with numbers.
func writeRule(w io.Writer, text, numbers int) {
	fmt.Fprintf(w, "|%s%s\n", strings.Repeat("---|", text), strings.Repeat("---:|", numbers))
}

// text returns the name, in bold if it is this library's.
func (c contestant) text() string {
	if c.ours() {
		return "**" + c.name + "**"
	}
	return c.name
}

func (c contestant) ours() bool { return strings.HasPrefix(c.name, "websock") || c.name == "XOR" }

// A bound has no library's work to do; copy is that of the kernel that masks.
func (c contestant) bound() bool {
	return c.name == "raw" || c.name == "copy" || strings.HasPrefix(c.name, "bound")
}

// digits formats x with three digits.
func digits(x float64) string {
	switch {
	case math.IsNaN(x):
		return "–"
	case x < 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// A summaryRow is who is the first of ours and of the others, and the bound.
type summaryRow struct {
	grid, column      string
	unit              string
	ours, other       contestant
	us, them, atLeast float64
}

// summarize returns a row for each column of each grid.
func summarize(m measurement) (rows []summaryRow) {
	for _, g := range m.grids {
		for _, column := range g.columns {
			r := summaryRow{grid: g.name, column: column, unit: g.units[0], us: math.NaN(), them: math.NaN(), atLeast: math.NaN()}
			for _, by := range g.by {
				x := g.compared(column, by.name)
				switch {
				case by.bound():
					r.atLeast = least(r.atLeast, x)
				case m.reference(by), g.name == "ReceiveText" && slices.Contains(unchecked, by.name):
				case by.ours() && least(r.us, x) != r.us:
					r.ours, r.us = by, x
				case !by.ours() && least(r.them, x) != r.them:
					r.other, r.them = by, x
				}
			}
			if !math.IsNaN(r.us) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// reference reports whether a contestant of ours is there for comparison: without HTTP/2, beside those with it.
func (m measurement) reference(by contestant) bool {
	return m.name == "http2" && by.ours() && !strings.HasSuffix(by.name, "-h2")
}

// least returns the lesser of two numbers, of which any may be NaN.
func least(a, b float64) float64 {
	if math.IsNaN(a) || b < a {
		return b
	}
	return a
}

func writeSummary(w io.Writer, measured []measurement) {
	fmt.Fprintf(w, "## In short\n\nThe best of this library's configurations in each row, and the best of the others. A ratio above 1.05 is in bold: there this library isn't the first. Of those that receive text, only contestants that check it count.\n\n")
	writeRow(w, []string{"row", "unit", "ours", "", "best other", "language", "", "ours / other", "bound"})
	fmt.Fprintln(w, "|---|---|---|---:|---|---|---:|---:|---:|")
	for _, m := range measured {
		for _, r := range summarize(m) {
			writeRow(w, r.cells())
		}
	}
	fmt.Fprintln(w)
}

func (r summaryRow) cells() []string {
	name := r.grid
	if r.column != "" {
		name += " of " + r.column
	}
	ratio := digits(r.us / r.them)
	if r.us/r.them > 1.05 {
		ratio = "**" + ratio + "**"
	}
	nobody := "–"
	language := r.other.language
	other := r.other.name
	if math.IsNaN(r.them) {
		language, other = nobody, nobody
	}
	return slices.Concat([]string{name, r.unit, r.ours.name, digits(r.us), other, language}, []string{digits(r.them), ratio, digits(r.atLeast)})
}
