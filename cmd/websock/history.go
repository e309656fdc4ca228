package main

import (
	"bufio"
	"fmt"
	"os"
)

// A history has the lines that were typed, in a file too: it is a term.History.
type history struct {
	file  *os.File
	lines []string // the last one last
}

// maxHistory is how many lines of the file are read.
const maxHistory = 1000

// openHistory makes the file if there is none. Others may not read it.
func openHistory(name string) (*history, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	h := &history{file: file}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		h.lines = append(h.lines, lines.Text())
		h.lines = h.lines[max(len(h.lines)-maxHistory, 0):]
	}
	if err := lines.Err(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s is no history: %w", name, err)
	}
	return h, nil
}

// Add leaves out what is no news.
func (h *history) Add(line string) {
	if line == "" || len(h.lines) > 0 && line == h.At(0) {
		return
	}
	h.lines = append(h.lines, line)
	fmt.Fprintln(h.file, line) // what can't be kept is at least there until the end
}

func (h *history) Len() int { return len(h.lines) }

func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

func (h *history) close() { h.file.Close() }
