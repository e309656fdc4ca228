package live

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	maxLog     = 1000    // lines that are kept while there is a screen
	maxLogLine = 4 << 10 // bytes of one of them
)

// A log writes lines to out, or keeps them as long as there is a screen.
type log struct {
	out io.Writer

	mu      sync.Mutex
	held    bool
	lines   []string // the latest, without their ends
	dropped int      // lines before those
	rest    []byte   // the beginning of a line
}

// Write writes text to out, or keeps it. What doesn't go to out is no error: there is nobody to tell.
func (l *log) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		l.out.Write(text)
		return len(text), nil
	}
	l.rest = append(l.rest, text...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole && len(l.rest) < maxLogLine {
			return len(text), nil
		}
		l.lines = append(l.lines, string(line))
		l.rest = rest
		if len(l.lines) > maxLog {
			l.lines = slices.Delete(l.lines, 0, 1)
			l.dropped++
		}
	}
}

// hold keeps what is written from now on, until release.
func (l *log) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// latest returns the lines that were written of late, as many as a screen can show.
func (l *log) latest() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const most = 10
	for _, line := range l.lines[max(len(l.lines)-most, 0):] {
		lines = append(lines, oneLine(line))
	}
	return lines
}

// release writes what was kept.
func (l *log) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		return
	}
	l.held = false
	if l.dropped > 0 {
		fmt.Fprintf(l.out, "(%d lines before these are left out)\n", l.dropped)
	}
	for _, line := range l.lines {
		fmt.Fprintln(l.out, line)
	}
	l.out.Write(l.rest)
	l.lines, l.rest = nil, nil
}
