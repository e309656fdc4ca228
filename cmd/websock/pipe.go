package main

import (
	"bufio"
	"bytes"
	"io"
)

// A lineReader is where lines come from.
type lineReader interface {
	// readLine returns a line without its end. An error says that there are no more.
	readLine() ([]byte, error)
}

// A pipe has lines of any length, and of any bytes.
type pipe struct{ *bufio.Reader }

func newPipe(in io.Reader) pipe { return pipe{bufio.NewReader(in)} }

func (p pipe) readLine() ([]byte, error) {
	line, err := p.ReadBytes('\n')
	if err != nil && len(line) == 0 {
		return nil, err
	}
	return trimLine(line), nil // the last one may have no end
}

// trimLine removes the end of a line.
func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
