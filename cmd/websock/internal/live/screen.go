package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A block is a part of the screen that is as wide as that, or half as wide.
type block struct {
	rank  int // if there is no room for all, those with the largest are left out
	rows  int // that it needs
	spare int // rows that it can use besides
	draw  func(area)
}

// The ranks of blocks.
const (
	rankPhase = iota
	rankConnections
	rankMessages
	rankLatency
	rankErrors
	rankHead
	rankLog
	rankCluster
	rankSessions
	rankLateness
	rankHelp
	rankOptions
	rankGap
	rankAxis
)

// twoColumns is the width from which on there are two columns of charts.
const twoColumns = 120

// render draws a state.
func (s *state) render(width, height int) *canvas {
	c := newCanvas(width, height)
	stack(s.blocks(width), c.all())
	return c
}

// stack draws blocks below each other, the last one at the bottom.
func stack(blocks []block, a area) {
	blocks = fit(blocks, a.height)
	y := 0
	for i, b := range blocks {
		if i == len(blocks)-1 {
			y = a.height - b.rows
		}
		b.draw(a.lines(y, b.rows))
		y += b.rows
	}
}

// fit leaves out blocks that have no room, and gives the others the rows that are left, one by one.
func fit(blocks []block, height int) (kept []block) {
	left := height
	for _, b := range blocks {
		left -= b.rows
	}
	for ; left < 0 && len(blocks) > 0; blocks = kept {
		last := 0
		for i, b := range blocks {
			if b.rank >= blocks[last].rank {
				last = i
			}
		}
		left += blocks[last].rows
		kept = append(append([]block(nil), blocks[:last]...), blocks[last+1:]...)
	}
	kept = append([]block(nil), blocks...)
	for given := true; given; {
		given = false
		for i := range kept {
			if b := &kept[i]; left > 0 && b.spare > 0 {
				b.rows, b.spare, left, given = b.rows+1, b.spare-1, left-1, true
			}
		}
	}
	return kept
}

// blocks returns all parts of the screen, from top to bottom.
func (s *state) blocks(width int) []block {
	gap := block{rank: rankGap, rows: 1, draw: func(area) {}}
	all := []block{
		{rank: rankHead, rows: 1, draw: s.drawHead},
		{rank: rankOptions, rows: 1, draw: s.drawOptions},
		gap,
		{rank: rankPhase, rows: 1, draw: s.drawPhase},
		gap,
		{rank: rankConnections, rows: 2, draw: s.drawConnections},
	}
	if s.Sessions > 0 {
		all = append(all, block{rank: rankSessions, rows: 1, draw: s.drawSessions})
	}
	if s.Cluster.Members > 0 {
		all = append(all, block{rank: rankCluster, rows: 1, draw: s.drawCluster})
	}
	all = append(all, gap)
	all = append(all, s.charts(width)...)
	if s.Due > 0 {
		all = append(all, gap, block{rank: rankLateness, rows: 1, draw: s.drawLateness})
	}
	all = append(all, gap, block{rank: rankErrors, rows: 1, spare: min(max(len(s.ErrorsByKind)-1, 0), maxKinds-1), draw: s.drawErrors})
	if len(s.log) > 0 {
		all = append(all, gap, block{rank: rankLog, rows: 1, spare: len(s.log) - 1, draw: s.drawLog})
	}
	return append(all, gap, block{rank: rankHelp, rows: 1, draw: s.drawHelp})
}

// charts returns the blocks of what changes over time, below each other or, on a wide screen, in two
// columns.
func (s *state) charts(width int) []block {
	const tallest = 20
	chart := func(rank int, draw func(area)) block { return block{rank, 1, tallest - 1, draw} }
	messages := []block{chart(rankMessages, s.drawSent), chart(rankMessages, s.drawReceived)}
	latency := []block{chart(rankLatency, s.drawMedian), chart(rankLatency, s.drawTail)}
	gap := block{rank: rankGap, rows: 1, draw: func(area) {}}
	axis := block{rank: rankAxis, rows: 1, draw: s.drawAxis}
	if width < twoColumns {
		return append(append(append(messages, gap), latency...), axis)
	}
	both := func(left, right block) block {
		return block{left.rank, left.rows, left.spare, func(a area) {
			left.draw(a.part(0, 0, a.width/2, a.height))
			right.draw(a.part(a.width/2, 0, a.width, a.height))
		}}
	}
	return []block{both(messages[0], latency[0]), gap, both(messages[1], latency[1]), both(axis, axis)}
}

// The screen has a column of names and numbers, and one of pictures and words beside it.
const (
	nameAt    = 1
	valueEnds = 23
	pictureAt = 25
)

// name writes what a line is about, and its number.
func (a area) name(y int, name string, s style, value string) {
	a.put(nameAt, y, label, name)
	a.part(0, y, valueEnds, 1).putRight(0, s, value)
}

// picture returns the right column of an area.
func (a area) picture() area { return a.part(pictureAt, 0, a.width-pictureAt-1, a.height) }

func (s *state) drawHead(a area) {
	right := a.putRight(0, strong, clock(s.elapsed)+" ")
	a = a.part(0, 0, right-1, 1)
	x := a.put(nameAt, 0, strong, s.Command)
	a.put(x+2, 0, plain, cut(oneLine(strings.Join(s.Servers, " ")), a.width-x-2))
}

func (s *state) drawOptions(a area) {
	a.put(nameAt, 0, label, cut(oneLine(strings.Join(s.Details, ", ")), a.width-nameAt-1))
}

func (s *state) drawPhase(a area) {
	a.put(nameAt, 0, strong, cut(oneLine(s.Phase), valueEnds-nameAt))
	done, left, known := s.progress()
	if !known {
		a.put(pictureAt, 0, label, cut("for "+clock(s.inPhase), a.width-pictureAt-1))
		return
	}
	text := fmt.Sprintf("%3.0f %%, %s left", 100*done, clock(left+time.Second-1))
	begin := a.part(0, 0, a.width-1, 1).putRight(0, plain, text)
	a.part(pictureAt, 0, begin-1-pictureAt, 1).progress(done)
}

// progress returns how much of the phase is done, from 0 to 1, and the time that is left.
func (s *state) progress() (done float64, left time.Duration, known bool) {
	if lasts := s.Lasts[s.Phase]; lasts > 0 {
		return min(float64(s.inPhase)/float64(lasts), 1), max(lasts-s.inPhase, 0), true
	}
	attempted := s.Up + s.Ended
	if s.Phase != dialing || s.asked() <= 0 {
		return 0, 0, false
	}
	done = min(float64(attempted)/float64(s.asked()), 1)
	if done > 0 {
		left = time.Duration(float64(s.inPhase) * (1 - done) / done)
	}
	return done, left, true
}

// asked returns how many connections there should be.
func (s *state) asked() int64 {
	if s.Asked > 0 {
		return s.Asked
	}
	return int64(s.Connections)
}

func (s *state) drawConnections(a area) {
	a.name(0, "connections", strong, console.Grouped(s.Up))
	a.name(1, "", label, "of "+console.Grouped(s.asked()))
	shares := []share{
		{s.Up, good, "█", "up"},
		{s.Connecting, busy, "▓", "connecting"},
		{s.Waiting, waiting, "░", "waiting"},
		{s.Ended, bad, "▒", "ended"},
	}
	p := a.picture()
	bar := p.lines(0, p.height-1)
	bar.fill(label, "·")
	bar.bar(s.asked(), shares)
	x := 0
	for _, share := range shares {
		if share.n > 0 || share.style == good {
			char := strings.Replace(share.char, "█", "■", 1) // which is apart from the bar above
			x = p.putSpans(x, p.height-1, span{share.style, char}, span{plain, " " + console.Grouped(share.n)}, span{label, " " + share.name})
			x += 3
		}
	}
	if s.Reconnects > 0 {
		p.putSpans(x, p.height-1, span{plain, console.Grouped(s.Reconnects)}, span{label, " reconnected"})
	}
}

func (s *state) drawSessions(a area) {
	a.name(0, "HTTP/2", strong, console.Grouped(s.Sessions))
	connections := "connections"
	if s.Sessions == 1 {
		connections = "connection"
	}
	a.picture().put(0, 0, label, connections+" for "+console.Grouped(s.Streams)+" WebSockets")
}

func membersWord(n int64) string {
	if n == 1 {
		return "member"
	}
	return "members"
}

func (s *state) drawCluster(a area) {
	c := &s.Cluster
	a.name(0, "cluster", strong, console.Grouped(c.Members))
	p, x := a.picture(), 0
	for _, text := range []string{
		fmt.Sprintf("%s, %s of %s up", membersWord(c.Members), console.Grouped(c.Up), console.Grouped(s.Connections)),
		fmt.Sprintf(", %s of %s partitions here", console.Grouped(c.Held), console.Grouped(c.HeldByAll)),
		fmt.Sprintf(", %s taken over", console.Grouped(c.TakenOver)),
		fmt.Sprintf(", %s handed over", console.Grouped(c.HandedOver)),
	} {
		x = p.putSpans(x, 0, span{label, text})
	}
}

// chart draws a number, notes below it if there is room, and how it was over time.
func (s *state) chart(a area, st style, name, value string, notes []string, of func(point) float64) {
	a.name(0, name, st, value)
	for i, note := range notes {
		a.name(1+i, "", label, note)
	}
	p := a.picture()
	var values []float64
	columns, _ := s.history.columns(p.width)
	for _, column := range columns {
		values = append(values, of(column))
	}
	p.columns(values, st)
}

// drawAxis says of which time the charts are.
func (s *state) drawAxis(a area) {
	p := a.picture()
	columns, each := s.history.columns(p.width)
	since, now := "-"+clock(time.Duration(len(columns))*each), "now"
	if len(columns) > len(since)+len(now) {
		p.put(0, 0, label, since)
		p.put(len(columns)-len(now), 0, label, now)
	}
}

// peak returns the largest value in the charts.
func (s *state) peak(of func(point) float64) (top float64) {
	for _, p := range s.history.points {
		top = max(top, of(p))
	}
	return top
}

func (s *state) drawSent(a area) {
	of := func(p point) float64 { return p.sent }
	s.chart(a, sent, "sent", rateText(s.rates.sent), s.notes(s.Sent, s.rates.sentBytes, of), of)
}

func (s *state) drawReceived(a area) {
	of := func(p point) float64 { return p.received }
	s.chart(a, received, "received", rateText(s.rates.received), s.notes(s.Received, s.rates.receivedBytes, of), of)
}

func (s *state) notes(total int64, bytes float64, of func(point) float64) []string {
	notes := []string{console.Grouped(total) + " in all", "peak " + rateText(s.peak(of))}
	if bytes > 0 {
		notes = append(notes, bytesText(bytes))
	}
	return notes
}

func (s *state) drawMedian(a area) {
	s.drawTimes(a, median, "p50", func(q quantiles) time.Duration { return q.p50 }, func(p point) time.Duration { return p.p50 })
}

func (s *state) drawTail(a area) {
	s.drawTimes(a, tail, "p99", func(q quantiles) time.Duration { return q.p99 }, func(p point) time.Duration { return p.p99 })
}

// drawTimes draws a percentile of the times of answers, and of those on the way if there are any.
func (s *state) drawTimes(a area, st style, percentile string, of func(quantiles) time.Duration, at func(point) time.Duration) {
	name, value := "latency ", timeText(of(s.rates.latency))
	oneWay := "one-way " + timeText(of(s.rates.oneWay))
	if s.OneWay.Count() == 0 {
		oneWay = ""
	} else if s.Latency.Count() == 0 {
		name, value, oneWay = "one-way ", timeText(of(s.rates.oneWay)), ""
	}
	values := func(p point) float64 { return float64(at(p)) }
	notes := []string{"peak " + timeText(time.Duration(s.peak(values)))}
	if oneWay != "" {
		notes = append([]string{oneWay}, notes...)
	}
	s.chart(a, st, name+percentile, value, notes, values)
}

func (s *state) drawLateness(a area) {
	r := &s.rates
	a.name(0, "lateness p99", plain, timeText(r.lateness.p99))
	p := a.picture()
	x := p.putSpans(0, 0, span{label, "p50 "}, span{plain, timeText(r.lateness.p50)})
	if r.due > 0 {
		x = p.putSpans(x, 0, span{label, ", sent "}, span{plain, fmt.Sprintf("%.1f %%", 100*r.sent/r.due)}, span{label, " of " + rateText(r.due)})
	}
	if s.Unsent > 0 {
		p.putSpans(x, 0, span{label, ", "}, span{bad, console.Grouped(s.Unsent)}, span{label, " never sent"})
	}
}

func (s *state) drawLog(a area) {
	lines := s.log[max(len(s.log)-a.height, 0):]
	for y, line := range lines {
		a.put(nameAt, y, label, cut(line, a.width-nameAt-1))
	}
}

func (s *state) drawHelp(a area) {
	st, text := label, "q or Control-C ends it early, and prints the result"
	if s.ending {
		st, text = busy, "interrupted: it ends soon; again: at once, without a result"
	}
	a.put(nameAt, 0, st, cut(text, a.width-nameAt-1))
}
