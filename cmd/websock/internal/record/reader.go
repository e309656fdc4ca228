package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// maxLine is the length of the longest line. JSON has up to six bytes for one of a text.
const maxLine = 6*MaxMessage + 4096

// A SyntaxError is a line that can't be part of a recording.
type SyntaxError struct {
	Line int // beginning with 1
	Err  error
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *SyntaxError) Unwrap() error { return e.Err }

var (
	errNoRecording  = errors.New(`it is no recording, whose first line has "format":"` + format + `"`)
	errNewer        = errors.New("it was written by a newer version of this program")
	errLineTooLong  = errors.New("the line is too long")
	errAfterEnd     = errors.New("something follows the end of the connection")
	errTimeBackward = errors.New("its time is before that of the line above")
)

// A lineReader reads the lines of a recording.
type lineReader struct {
	in     *bufio.Reader
	buf    []byte // reused for lines longer than the buffer of in
	number int    // of the line that was read last
	offset int64  // of the next line
	state  state
	time   time.Duration // of the last event
	cut    bool          // the last line was cut off
}

func newLineReader(in io.Reader) *lineReader {
	const bufferSize = 64 << 10
	return &lineReader{in: bufio.NewReaderSize(in, bufferSize)}
}

// next returns the next line: a header or else an event. io.EOF means that there are no more.
func (r *lineReader) next() (*Header, Event, error) {
	for {
		line, err := r.read()
		if err != nil {
			return nil, Event{}, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		header, event, err := r.parse(line)
		if err != nil && !bytes.HasSuffix(line, newline) && !json.Valid(line) {
			r.cut = true
			return nil, Event{}, io.EOF
		}
		if err != nil {
			return nil, Event{}, &SyntaxError{r.number, err}
		}
		return header, event, nil
	}
}

var newline = []byte("\n")

// read returns the next line with its line ending, which only the last may lack. The line is valid until
// the next call.
func (r *lineReader) read() ([]byte, error) {
	r.number++
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.buf = r.buf[:0]
		for ; errors.Is(err, bufio.ErrBufferFull); line, err = r.in.ReadSlice('\n') {
			if r.buf = append(r.buf, line...); len(r.buf) > maxLine {
				break
			}
		}
		r.buf = append(r.buf, line...)
		line = r.buf
	}
	if len(line) > maxLine {
		return nil, &SyntaxError{r.number, errLineTooLong}
	}
	r.offset += int64(len(line))
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return line, err
}

// parse parses a line and checks that it can be the next.
func (r *lineReader) parse(line []byte) (*Header, Event, error) {
	var l struct {
		headerLine
		eventLine
	}
	if err := json.Unmarshal(line, &l); err != nil {
		if r.state == beforeFirst {
			err = errNoRecording
		}
		return nil, Event{}, syntaxError(err)
	}
	if l.Format != "" {
		header, err := l.header()
		r.state, r.time = inConn, 0
		return header, Event{}, err
	}
	switch {
	case r.state == beforeFirst:
		return nil, Event{}, errNoRecording
	case r.state == ended:
		return nil, Event{}, errAfterEnd
	}
	e, err := l.event()
	if err == nil && e.Time < r.time {
		err = errTimeBackward
	}
	r.time = e.Time
	if e.IsEnd() {
		r.state = ended
	}
	return nil, e, err
}

// syntaxError returns an error of package json in terms of the recording, not of our types.
func syntaxError(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &wrong):
		return err
	case wrong.Field == "":
		return fmt.Errorf("it is no JSON object, but %s", wrong.Value)
	}
	name := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
	return fmt.Errorf("%q can't be a JSON %s", name, wrong.Value)
}

func (l *headerLine) header() (*Header, error) {
	switch {
	case l.Format != format:
		return nil, errNoRecording
	case l.Version > version:
		return nil, errNewer
	case l.Version < 1:
		return nil, fmt.Errorf("there is no version %d", l.Version)
	}
	return &Header{l.Start, l.URL, l.QueryHidden, l.Subprotocol}, nil
}
