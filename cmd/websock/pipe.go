package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/seed004e8d11/websock/engine"
)

// A lineReader is where lines come from.
type lineReader interface {
	// readLine returns a line without its end. An error says that there are no more: io.EOF,
	// errInterrupted, or what went wrong.
	readLine() ([]byte, error)
}

// maxLine is how long a line may be: as long as a message that a server of ours takes.
const maxLine = engine.DefaultMessageSize

var errLineTooLong = fmt.Errorf("a line of more than %s bytes", grouped(maxLine))

// A pipe has lines of any bytes.
type pipe struct{ *bufio.Reader }

func newPipe(in io.Reader) pipe { return pipe{bufio.NewReader(in)} }

// readLine returns errLineTooLong once it has read maxLine bytes without an end, so that an
// endless line doesn't take all memory. Nothing can be read after that.
func (p pipe) readLine() (line []byte, err error) {
	for {
		piece, err := p.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(trimLine(line)) > maxLine:
			return nil, errLineTooLong
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && len(line) == 0:
			return nil, err
		}
		return trimLine(line), nil // the last one may have no end
	}
}

// trimLine removes the end of a line.
func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
