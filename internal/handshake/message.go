package handshake

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/seed004e8d11/websock/engine"
)

// readSize is how much is read at once. Few answers are longer, and frames that
// follow are better read by the transport.
const readSize = 2 << 10

// A message is the peer's side of a handshake under way: the head of an HTTP
// message, from its first line to the empty line, and whatever came after it.
type message struct {
	start   string // what every such message starts with
	maxSize int    // of all heads together, bytes

	received []byte
	headSize int // with the empty line; 0: not complete
	skipped  int // bytes of the heads that came before
}

var errNotHTTP = errors.New("not HTTP")

// read reads until the head is complete. Besides those of r, its errors are
// io.ErrUnexpectedEOF, errNotHTTP and an *engine.LimitError.
func (m *message) read(r io.Reader) error {
	scanned := 0
	for {
		m.headSize = endOfHead(m.received, scanned)
		switch {
		case !m.mayBeHTTP():
			return errNotHTTP
		case m.headSize > 0:
			return nil
		case m.skipped+len(m.received) >= m.maxSize:
			return &engine.LimitError{Limit: "HandshakeSize", Max: int64(m.maxSize), Code: engine.ClosePolicyViolation}
		}
		scanned = max(0, len(m.received)-len("\n\r"))
		n, err := r.Read(m.room())
		m.received = m.received[:len(m.received)+n]
		switch {
		case n > 0: // the error, if it lasts, comes again
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}

// room returns where to read to, within the bound.
func (m *message) room() []byte {
	if len(m.received) == cap(m.received) {
		m.received = slices.Grow(m.received, readSize)
	}
	end := min(cap(m.received), m.maxSize-m.skipped)
	return m.received[len(m.received):end]
}

func (m *message) mayBeHTTP() bool {
	n := min(len(m.received), len(m.start))
	return string(m.received[:n]) == m.start[:n]
}

// endOfHead returns where the first empty line at or after from ends, 0 if there
// is none. Like net/http it takes a bare LF for the end of a line too.
func endOfHead(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		from += i + 1
		switch next := b[from:]; {
		case bytes.HasPrefix(next, []byte("\n")):
			return from + 1
		case bytes.HasPrefix(next, []byte("\r\n")):
			return from + 2
		}
	}
}

// skip drops the head, for the one that follows.
func (m *message) skip() {
	m.skipped += m.headSize
	m.received = m.received[m.headSize:]
	m.headSize = 0
}

// head returns all lines, the empty one included.
func (m *message) head() []byte { return m.received[:m.headSize] }

// headerLines returns the lines between the first and the empty one.
func (m *message) headerLines() []byte {
	_, lines, _ := bytes.Cut(m.head(), []byte("\n"))
	lines = bytes.TrimSuffix(lines, []byte("\n"))
	return bytes.TrimSuffix(lines, []byte("\r"))
}

// rest returns what came after the head.
func (m *message) rest() []byte { return m.received[m.headSize:] }

// unreadable says why a message, which what names, could not be read.
func unreadable(what string, err error) *HandshakeError {
	var limit *engine.LimitError
	switch {
	case errors.As(err, &limit):
		return &HandshakeError{Reason: what + " is too large", Err: err}
	case err == io.ErrUnexpectedEOF:
		return &HandshakeError{Reason: "the connection ended before " + what + " did", Err: err}
	case err == errNotHTTP:
		return &HandshakeError{Reason: what + " is not HTTP"}
	}
	return &HandshakeError{Reason: what + " did not come", Err: err}
}
