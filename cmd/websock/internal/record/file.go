package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxConns bounds the connections of a recording, of which a File keeps the position of each.
const maxConns = 1 << 20

// A File is a recording that was read once, so it is known to be one.
type File struct {
	// Cut is whether the last line was cut off, and is left out.
	Cut bool

	name  string
	conns []position
}

// A position is where a connection begins.
type position struct {
	offset int64
	line   int // number of lines before
}

// Open reads a recording, until ctx ends: it may be large. An error of its content is a *SyntaxError in a
// *fs.PathError.
func Open(ctx context.Context, name string) (*File, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, pathError(name, errors.New("not a regular file"))
	}
	f := &File{name: name}
	in := newLineReader(file)
	for ctx.Err() == nil {
		before := position{in.offset, in.number}
		header, _, err := in.next()
		switch {
		case errors.Is(err, io.EOF) && len(f.conns) > 0:
			f.Cut = in.cut
			return f, nil
		case errors.Is(err, io.EOF):
			return nil, pathError(name, errNoRecording)
		case err != nil:
			return nil, pathError(name, err)
		case header != nil && len(f.conns) == maxConns:
			return nil, pathError(name, fmt.Errorf("more than %d connections", maxConns))
		case header != nil:
			f.conns = append(f.conns, before)
		}
	}
	return nil, ctx.Err()
}

func pathError(name string, err error) error { return &os.PathError{Op: "read", Path: name, Err: err} }

// Conns returns the number of connections in the recording, which is at least one.
func (f *File) Conns() int { return len(f.conns) }

// Conn opens connection i, beginning with 0. Close must be called on it.
func (f *File) Conn(i int) (*Conn, error) {
	file, err := os.Open(f.name)
	if err != nil {
		return nil, err
	}
	c := &Conn{file: file, in: newLineReader(file)}
	if _, err := file.Seek(f.conns[i].offset, io.SeekStart); err != nil {
		c.Close()
		return nil, err
	}
	c.in.number = f.conns[i].line
	header, _, err := c.in.next()
	if err == nil && header == nil {
		err = errNoRecording // the file has changed
	}
	if err != nil {
		c.Close()
		return nil, pathError(f.name, err)
	}
	c.Header = *header
	return c, nil
}

// A Conn reads one connection of a recording.
type Conn struct {
	Header
	file *os.File
	in   *lineReader
	over bool
}

// Next returns the next event. io.EOF means that there are no more.
func (c *Conn) Next() (Event, error) {
	if c.over {
		return Event{}, io.EOF
	}
	header, event, err := c.in.next()
	if header != nil {
		err = io.EOF
	}
	if c.over = err != nil; c.over && !errors.Is(err, io.EOF) {
		err = pathError(c.file.Name(), err)
	}
	return event, err
}

// Close closes the file.
func (c *Conn) Close() error { return c.file.Close() }
