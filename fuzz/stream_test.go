package fuzz

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
)

// A stream is a transport that delivers pieces of bytes, each by itself, and then the end,
// and keeps what is sent. At an empty piece a read deadline passes, or nothing has come
// yet where there is a receiver.
type stream struct {
	pieces   [][]byte
	view     []byte
	sent     []byte
	receiver transport.Receiver
	paused   bool
	closed   bool
}

func (s *stream) View() ([]byte, error) {
	if len(s.view) > 0 {
		return s.view, nil
	}
	if len(s.pieces) == 0 {
		return nil, io.EOF
	}
	s.view = s.pieces[0]
	s.pieces = s.pieces[1:]
	switch {
	case len(s.view) > 0:
		return s.view, nil
	case s.receiver != nil:
		return nil, transport.ErrWouldBlock
	}
	return nil, os.ErrDeadlineExceeded
}

func (s *stream) Consume(n int) { s.view = s.view[n:] }

func (s *stream) Read(p []byte) (int, error) {
	view, err := s.View()
	n := copy(p, view)
	s.Consume(n)
	return n, err
}

func (s *stream) Writev(bufs ...[]byte) error {
	for _, b := range bufs {
		s.sent = append(s.sent, b...)
	}
	return nil
}

func (s *stream) Queued() int                      { return 0 }
func (s *stream) CloseWrite() error                { return nil }
func (s *stream) Linger(time.Duration) error       { return s.Close() }
func (s *stream) TLS() *tls.ConnectionState        { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
func (s *stream) LocalAddr() net.Addr              { return nil }
func (s *stream) RemoteAddr() net.Addr             { return nil }
func (s *stream) Close() error                     { s.closed = true; return nil }

// Push notes whom play is to call.
func (s *stream) Push(r transport.Receiver) error {
	s.receiver = r
	return nil
}

// Pause makes play wait for Resume.
func (s *stream) Pause() { s.paused = true }

// Resume ends that.
func (s *stream) Resume() { s.paused = false }

// Yield reports that it can't be done.
func (s *stream) Yield() bool { return false }

// play calls the receiver to the end of the stream.
func (s *stream) play(c *websock.Conn) {
	for s.receiver.Readable() == nil {
		if s.paused {
			c.Resume()
		}
	}
	s.receiver.Finish()
}
