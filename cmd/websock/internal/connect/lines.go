package connect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A lineReader is the input of a session.
type lineReader interface {
	// readLine returns a line without its line ending. An error means that there are no more:
	// io.EOF, errInterrupted or a failure.
	readLine() ([]byte, error)
}

// maxLine is the longest line that is sent, as long as the longest message that our own server
// accepts.
const maxLine = websock.DefaultMessageSize

var errLineTooLong = fmt.Errorf("a line of more than %s bytes", console.Grouped(maxLine))

// A pipe reads lines of arbitrary bytes.
type pipe struct{ *bufio.Reader }

func newPipe(in io.Reader) pipe { return pipe{bufio.NewReader(in)} }

// readLine returns errLineTooLong once it has read maxLine bytes without a line ending, which
// bounds the memory that input can take. Nothing can be read after that.
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
		return trimLine(line), nil // the last line may have no line ending
	}
}

// trimLine removes the line ending.
func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
