package conformance

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
)

// A memory is a transport.Conn over the pieces of a stream, each of which arrives by itself. It keeps
// what is written.
type memory struct {
	pieces   [][]byte
	timeouts bool // every other read times out
	timedOut bool
	at       []int  // size of out when each piece was read
	view     []byte // unread part of the last piece
	out      []byte
	closed   bool
	receiver transport.Receiver
	readable bool // with a receiver: the next piece has arrived
}

func newMemory(c cut) *memory { return &memory{pieces: c.pieces} }

func (m *memory) next() ([]byte, error) {
	switch {
	case m.closed:
		return nil, net.ErrClosed
	case m.timeouts && !m.timedOut:
		m.timedOut = true
		return nil, os.ErrDeadlineExceeded
	case m.receiver != nil && !m.readable:
		return nil, transport.ErrWouldBlock
	case len(m.at) == len(m.pieces):
		return nil, io.EOF
	}
	m.timedOut, m.readable = false, false
	m.at = append(m.at, len(m.out))
	return bytes.Clone(m.pieces[len(m.at)-1]), nil // it is unmasked in place
}

func (m *memory) View() ([]byte, error) {
	var err error
	if len(m.view) == 0 {
		m.view, err = m.next()
	}
	return m.view, err
}

func (m *memory) Consume(n int) { m.view = m.view[n:] }

func (m *memory) Read(p []byte) (int, error) {
	view, err := m.View()
	n := copy(p, view)
	m.Consume(n)
	return n, err
}

func (m *memory) Writev(bufs ...[]byte) error {
	if m.closed {
		return net.ErrClosed
	}
	for _, b := range bufs {
		m.out = append(m.out, b...)
	}
	return nil
}

func (m *memory) Close() error { m.closed = true; return nil }

func (m *memory) Queued() int                      { return 0 }
func (m *memory) CloseWrite() error                { return nil }
func (m *memory) Linger(time.Duration) error       { return m.Close() }
func (m *memory) TLS() *tls.ConnectionState        { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }
func (m *memory) LocalAddr() net.Addr              { return nil }
func (m *memory) RemoteAddr() net.Addr             { return nil }

// Push sets the receiver, which push calls.
func (m *memory) Push(r transport.Receiver) error {
	m.receiver = r
	return nil
}

func (m *memory) Pause()      {}
func (m *memory) Resume()     {}
func (m *memory) Yield() bool { return false }

// push gives the receiver one piece after another until it returns an error.
func (m *memory) push() {
	for range len(m.pieces) + 1 {
		m.readable = true
		if m.receiver.Readable() != nil {
			m.receiver.Finish()
			return
		}
	}
}

// converse runs an application on a connection that receives the pieces of a stream, and checks what
// it sent.
func converse(s *stream, c cut, a application) error {
	m := newMemory(c)
	m.timeouts = a.timeouts
	conn := websock.NewConn(m, s.role, websock.Options{Limits: s.row.limits, Compression: s.row.compression})
	ended := a.run(conn, m)
	if err := s.checkEnd(ended); err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("Close: %w", err)
	}
	if !m.closed {
		return errors.New("the transport was not closed")
	}
	return checkAnswers(s, c, m)
}

// checkAnswers checks that the right answers were sent, each of them before more was read than it
// needs.
func checkAnswers(s *stream, c cut, m *memory) error {
	out := bytes.NewReader(m.out)
	answers := s.answersFrom(out)
	last, read := span{}, 0 // the last piece that was needed, and the number of pieces
	for _, want := range s.answers {
		got, err := answers.next()
		if err != nil {
			return fmt.Errorf("want %v: %w", want.frame, err)
		}
		if err := got.is(want.frame); err != nil {
			return err
		}
		for ; last.to < want.after; read++ {
			last = span{last.to, last.to + len(c.pieces[read])}
		}
		if read < len(m.at) && len(m.out)-out.Len() > m.at[read] {
			return fmt.Errorf("%v was not sent before bytes from %d on were read", want.frame, last.to)
		}
	}
	if out.Len() > 0 {
		return fmt.Errorf("%d bytes were sent after the last answer", out.Len())
	}
	for ; read > len(m.at); read-- {
		last = span{last.from - len(c.pieces[read-2]), last.from}
	}
	if len(m.at) > read {
		return errors.New("bytes were read after the end")
	}
	return s.endsWith(last)
}

// checkEnd compares the error that ended a connection with the row.
func (s *stream) checkEnd(err error) error {
	want := s.last.answer.payload
	if s.last.broken != 0 {
		if code, ok := closeCodeOf(err); ok && status(code, "") == want {
			return nil
		}
		return fmt.Errorf("it ended with %w, want code %x", err, want)
	}
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Local || s.last.payload != closePayload(closed) {
		return fmt.Errorf("it ended with %w, want the peer's %x", err, s.last.payload)
	}
	return nil
}

func closePayload(e *websock.CloseError) string {
	if e.Code == websock.CloseNoStatus {
		return e.Reason
	}
	return status(e.Code, e.Reason)
}
