package websock

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// A script is a Transport that delivers prepared chunks, one a read, and records
// what is written. An empty chunk is a timeout. After the last one comes err.
type script struct {
	chunks [][]byte
	err    error // nil: io.EOF
	view   []byte

	mu       sync.Mutex
	out      []byte
	writes   int
	reads    int
	consumed int
	writeErr error
	closed   bool
	lingered bool

	readDeadline, writeDeadline time.Time
	receiver                    transport.Receiver
	readable                    bool // the next chunk has arrived
}

func (s *script) next() ([]byte, error) {
	s.reads++
	if s.receiver != nil {
		if !s.readable {
			return nil, transport.ErrWouldBlock
		}
		s.readable = false
	}
	if len(s.chunks) == 0 {
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	}
	chunk := s.chunks[0]
	s.chunks = s.chunks[1:]
	if len(chunk) == 0 {
		return nil, os.ErrDeadlineExceeded
	}
	return chunk, nil
}

func (s *script) View() ([]byte, error) {
	if len(s.view) > 0 {
		return s.view, nil
	}
	var err error
	s.view, err = s.next()
	return s.view, err
}

func (s *script) Consume(n int) {
	s.consumed += n
	s.view = s.view[n:]
}

func (s *script) Read(p []byte) (int, error) {
	chunk, err := s.next()
	n := copy(p, chunk)
	if rest := chunk[n:]; len(rest) > 0 {
		s.chunks = append([][]byte{rest}, s.chunks...)
	}
	return n, err
}

func (s *script) Writev(bufs ...[]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeErr != nil {
		return s.writeErr
	}
	s.writes++
	for _, b := range bufs {
		s.out = append(s.out, b...)
	}
	return nil
}

func (s *script) Queued() int               { return 0 }
func (s *script) CloseWrite() error         { return nil }
func (s *script) TLS() *tls.ConnectionState { return nil }
func (s *script) Pause()                    {}
func (s *script) Resume()                   {}
func (s *script) Yield() bool               { return false }

func (s *script) SetReadDeadline(t time.Time) error  { s.readDeadline = t; return nil }
func (s *script) SetWriteDeadline(t time.Time) error { s.writeDeadline = t; return nil }
func (s *script) LocalAddr() net.Addr                { return &net.UnixAddr{Name: "local", Net: "unix"} }
func (s *script) RemoteAddr() net.Addr               { return &net.UnixAddr{Name: "remote", Net: "unix"} }

func (s *script) Close() error { s.closed = true; return nil }

func (s *script) Linger(time.Duration) error { s.lingered = true; return nil }

func (s *script) Push(r transport.Receiver) error { s.receiver = r; return nil }

// play calls the receiver until it wants no more or the script is at its end.
func (s *script) play() error {
	for {
		s.readable = true
		if err := s.receiver.Readable(); err != nil {
			s.receiver.Finish()
			return err
		}
		if len(s.chunks) == 0 && s.err == nil {
			return nil
		}
	}
}

// everyByte cuts a stream after every byte.
func everyByte(stream []byte) [][]byte {
	var chunks [][]byte
	for i := range stream {
		chunks = append(chunks, stream[i:i+1:i+1])
	}
	return chunks
}

// clone copies a stream, since the server role unmasks it in place.
func clone(b []byte) []byte { return append([]byte(nil), b...) }
