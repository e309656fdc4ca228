package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/gobwas/pool/pbufio"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// DefaultMaxSize is the limit of a message's first line and header, in bytes, where a MaxSize is 0.
const DefaultMaxSize = 64 << 10

// sizeLimit returns the limit that a MaxSize stands for.
func sizeLimit(maxSize int) int {
	switch {
	case maxSize == 0:
		return DefaultMaxSize
	case maxSize < 0:
		return math.MaxInt
	}
	return maxSize
}

// readSize is how much is read at once. Few responses are longer, and the transport is better at
// reading the frames that follow.
const readSize = 2 << 10

// A message is the HTTP message of the peer while it is received: its head, from the first line
// to the empty line, and the bytes after it.
type message struct {
	prefix  string // of every such message
	maxSize int    // of all heads together, bytes

	memory    *buffer.Buffer // of the first bytes received; nil: none were
	received  []byte
	headSize  int // with the empty line; 0: incomplete
	discarded int // bytes of the heads before this one
}

var errNotHTTP = errors.New("not HTTP")

// read reads until the head is complete. Its errors are those of r, io.ErrUnexpectedEOF,
// errNotHTTP and *engine.LimitError.
func (m *message) read(r io.Reader) error {
	scanned := 0
	for {
		m.headSize = endOfHead(m.received, scanned)
		switch {
		case !m.mayBeHTTP():
			return errNotHTTP
		case m.headSize > 0:
			return nil
		case m.discarded+len(m.received) >= m.maxSize:
			return tooLarge(m.maxSize)
		}
		scanned = max(0, len(m.received)-len("\n\r"))
		n, err := r.Read(m.free())
		m.received = m.received[:len(m.received)+n]
		switch {
		case n > 0: // an error that lasts is returned again
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}

// tooLarge returns the error for a message that is larger than its limit.
func tooLarge(maxSize int) error {
	return &engine.LimitError{Limit: "HandshakeSize", Max: int64(maxSize), Code: engine.ClosePolicyViolation}
}

// free returns the memory to read into, within the limit.
func (m *message) free() []byte {
	if m.memory == nil {
		m.memory = buffer.Get(readSize)
		m.received = m.memory.B
	}
	if len(m.received) == cap(m.received) {
		m.received = slices.Grow(m.received, readSize)
	}
	end := min(cap(m.received), m.maxSize-m.discarded)
	return m.received[len(m.received):end]
}

func (m *message) mayBeHTTP() bool {
	n := min(len(m.received), len(m.prefix))
	return string(m.received[:n]) == m.prefix[:n]
}

// endOfHead returns the index after the first empty line at or after from, or 0 if there is none.
// Like net/http it takes a bare LF for the end of a line.
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

// recycle returns the memory of the message to the pool it came from.
func (m *message) recycle() {
	if m.memory != nil {
		m.memory.Put()
	}
	m.memory, m.received, m.headSize = nil, nil, 0
}

// discardHead makes room for the head that follows.
func (m *message) discardHead() {
	m.discarded += m.headSize
	m.received = m.received[m.headSize:]
	m.headSize = 0
}

// head returns all lines, with the empty one.
func (m *message) head() []byte { return m.received[:m.headSize] }

// headReader returns a reader that holds a whole head, as net/textproto demands. Its memory comes
// from pbufio's pool, and the values parsed from it are copies.
func headReader(head []byte) *bufio.Reader {
	return pbufio.GetReader(bytes.NewReader(head), max(len(head), readSize))
}

// headerLines returns the lines between the first and the empty one.
func (m *message) headerLines() []byte {
	_, lines, _ := bytes.Cut(m.head(), []byte("\n"))
	lines = bytes.TrimSuffix(lines, []byte("\n"))
	return bytes.TrimSuffix(lines, []byte("\r"))
}

// early returns the bytes after the head.
func (m *message) early() []byte { return m.received[m.headSize:] }

// unreadable returns the error for a message that couldn't be read. The error calls it what.
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

// A Result is what both sides have agreed on. The caller owns its memory.
type Result struct {
	// Subprotocol agreed on, or "" (RFC 6455 section 1.9).
	Subprotocol string

	// Compression agreed on; zero if none was (RFC 7692 section 7.1).
	Compression engine.Compression

	// RawHeader holds the header lines of the peer, each "Name: value\r\n", as they were
	// received: a line may be folded or end with a bare LF. Accept, to which net/http doesn't
	// show them, makes them of the parsed header: Host first, the others in alphabetical order. A
	// list of HTTP/2 has lines in its order, with the names that net/http would give them, and
	// without pseudo-header fields.
	RawHeader []byte

	// Early holds the bytes that came with the peer's message, the start of its frames; nil if
	// there were none.
	Early []byte
}

// newResult returns a Result with the header lines and the early bytes of the peer's message.
func newResult(m *message, subprotocol string, compression engine.Compression) *Result {
	result := &Result{Subprotocol: subprotocol, Compression: compression, RawHeader: bytes.Clone(m.headerLines())}
	if early := m.early(); len(early) > 0 {
		result.Early = bytes.Clone(early)
	}
	return result
}
