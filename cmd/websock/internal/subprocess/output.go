package subprocess

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

const bufferSize = 32 << 10

// send sends standard output until it ends, or can't be sent.
func (s *session) send() error {
	in := bufio.NewReaderSize(s.stdout, bufferSize)
	if s.Binary {
		return s.sendChunks(in)
	}
	return s.sendLines(in)
}

// sendChunks sends bytes as they come.
func (s *session) sendChunks(in io.Reader) error {
	buf := make([]byte, bufferSize)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			if err := s.sendMessage(websock.OpBinary, buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// sendLines sends lines. Those that have been read together are written together.
func (s *session) sendLines(in *bufio.Reader) error {
	defer s.conn.Flush()
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		if len(trimLine(line)) > s.MaxLine {
			return &outputError{fmt.Sprintf("a line of more than %s bytes", console.Grouped(s.MaxLine))}
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(line) > 0 { // the last line may have no line ending
			if err := s.sendLine(in, trimLine(line)); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		line = line[:0]
	}
}

// sendLine sends a line. It is held back while more lines have been read.
func (s *session) sendLine(in *bufio.Reader, line []byte) error {
	more, _ := in.Peek(in.Buffered())
	if bytes.IndexByte(more, '\n') >= 0 {
		s.conn.Cork()
		return s.sendMessage(websock.OpText, line)
	}
	if err := s.sendMessage(websock.OpText, line); err != nil {
		return err
	}
	return s.conn.Flush()
}

// sendMessage waits for a client that doesn't read, but not for longer than Timeout.
func (s *session) sendMessage(op websock.Opcode, p []byte) error {
	if s.Timeout > 0 {
		s.conn.SetSendDeadline(time.Now().Add(s.Timeout))
	}
	err := s.conn.SendFrame(op, true, p)
	if errors.Is(err, websock.ErrInvalidUTF8) {
		return &outputError{"a line of output is not UTF-8"}
	}
	return err
}

func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// A lineLog writes lines with the address of a client before each, in one write.
type lineLog struct {
	out    io.Writer
	prefix string
	escape bool // it is a terminal, which the lines must not control
}

func newLog(out io.Writer, client string) *lineLog {
	return &lineLog{out, client + ": ", console.IsTerminal(out)}
}

func (l *lineLog) note(err error) { l.write([]byte(strings.TrimPrefix(err.Error(), "exec: "))) }

func (l *lineLog) write(line []byte) {
	if l.escape {
		line = console.Printable(line)
	}
	l.out.Write(fmt.Appendf(nil, "%s%s\n", l.prefix, line))
}

// copyLines writes the lines of in. A long line is written in pieces.
func (l *lineLog) copyLines(in io.Reader) {
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			l.write(trimLine(line))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
