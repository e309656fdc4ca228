package connect

import (
	"bufio"
	"bytes"
	"context"
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

// An input is a line, or the end of the lines.
type input struct {
	line []byte
	err  error // io.EOF or a failure: there are no more lines
}

// maxTyped is how many lines may wait that were typed. Those of a pipe wait in the pipe. A terminal is
// read on while the server takes nothing, so that Control-C ends the session.
const maxTyped = 64

// newInputs returns a channel with room for what may wait.
func (s *session) newInputs() chan input {
	if s.typed {
		return make(chan input, maxTyped+1) // and the end
	}
	return make(chan input)
}

// readInputs reads lines until they end or the session does. A terminal is then read on for
// Control-C, since closing the connection may take a while; a second Control-C aborts that.
func (s *session) readInputs(ctx context.Context) {
	for ended := false; s.typed || ctx.Err() == nil; {
		line, err := s.lines.readLine()
		switch {
		case errors.Is(err, errInterrupted) && ctx.Err() != nil:
			s.abort()
			return
		case errors.Is(err, errInterrupted):
			s.interrupt()
			ended = true
		case ended && err != nil:
			return
		case !ended:
			s.pass(ctx, input{line, err})
			ended = err != nil
			if ended && !(s.typed && errors.Is(err, io.EOF)) {
				return
			}
		}
	}
}

var errBusy = errors.New("the server does not take what was sent before")

// pass hands an input over to be sent.
func (s *session) pass(ctx context.Context, in input) {
	if s.typed && in.err == nil && len(s.inputs) >= maxTyped {
		s.refuse(errBusy)
		return
	}
	select {
	case s.inputs <- in:
	case <-ctx.Done():
	}
}

// maxLine is the longest line that is sent, as long as the longest message that our own server
// accepts.
const maxLine = websock.DefaultMessageSize

var (
	errLineTooLong = fmt.Errorf("a line of more than %s bytes", console.Grouped(maxLine))
	errTooLong     = fmt.Errorf("the input has more than %s bytes", console.Grouped(maxLine))
)

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

// A whole reads everything as one line.
type whole struct {
	in   io.Reader
	done bool
}

func (w *whole) readLine() ([]byte, error) {
	if w.done {
		return nil, io.EOF
	}
	w.done = true
	all, err := io.ReadAll(io.LimitReader(w.in, maxLine+1))
	if len(all) > maxLine {
		return nil, errTooLong
	}
	return all, err
}

// trimLine removes the line ending.
func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
