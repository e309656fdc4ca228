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

// A memory is a Transport whose peer has said already all that it is going to say: every
// piece of a stream is what can be read at one time. What is written is kept.
type memory struct {
	pieces   [][]byte
	timeouts bool // every other time, nothing comes in time
	timedOut bool
	at       []int  // how much had been written when each piece was asked for
	view     []byte // of the piece under way
	out      []byte
	closed   bool
	receiver transport.Receiver
	readable bool // for the receiver: the next piece is there
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

// Push is called once: who pushes then calls push.
func (m *memory) Push(r transport.Receiver) error {
	m.receiver = r
	return nil
}

func (m *memory) Pause()      {}
func (m *memory) Resume()     {}
func (m *memory) Yield() bool { return false }

// push gives the receiver one piece after another, until it wants no more or there is none.
func (m *memory) push() {
	for range len(m.pieces) + 1 {
		m.readable = true
		if m.receiver.Readable() != nil {
			m.receiver.Finish()
			return
		}
	}
}

// converse lets an application talk to the peer of a stream, cut as it is, and judges what
// the peer got.
func converse(s *stream, c cut, a application) error {
	m := newMemory(c)
	m.timeouts = a.timeouts
	conn := websock.NewConn(m, s.role, websock.Options{Limits: s.row.limits, Compression: s.row.compression})
	ended := a.run(conn, m)
	if err := s.endedAsItShould(ended); err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("Close: %w", err)
	}
	if !m.closed {
		return errors.New("the transport is open")
	}
	return judge(s, c, m)
}

// judge tells whether the right answers came, each of them before more was asked for than
// it takes.
func judge(s *stream, c cut, m *memory) error {
	out := bytes.NewReader(m.out)
	answers := s.listen(out)
	given, asked := span{}, 0
	for _, want := range s.answers {
		got, err := answers.next()
		if err != nil {
			return fmt.Errorf("want %v: %w", want.frame, err)
		}
		if err := got.is(want.frame); err != nil {
			return err
		}
		for ; given.to < want.after; asked++ { // up to the piece that calls for the answer
			given = span{given.to, given.to + len(c.pieces[asked])}
		}
		if asked < len(m.at) && len(m.out)-out.Len() > m.at[asked] {
			return fmt.Errorf("%v had not been sent when bytes from %d on were received", want.frame, given.to)
		}
	}
	if out.Len() > 0 {
		return fmt.Errorf("%d bytes were sent behind the last answer", out.Len())
	}
	last := span{given.from, given.to}
	for ; asked > len(m.at); asked-- {
		last = span{last.from - len(c.pieces[asked-2]), last.from}
	}
	if len(m.at) > asked {
		return errors.New("bytes were received behind the end")
	}
	return s.endsWith(last)
}

// endedAsItShould compares how a connection ended with how it had to.
func (s *stream) endedAsItShould(err error) error {
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
