package deadline

import (
	"errors"
	"io"
	"net"
	"time"
)

var errNoDeadline = errors.New("no deadlines")

// A deadlineless is a net.Conn that does not support deadlines.
type deadlineless struct{ net.Conn }

func (deadlineless) SetDeadline(time.Time) error      { return errNoDeadline }
func (deadlineless) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (deadlineless) SetWriteDeadline(time.Time) error { return errNoDeadline }

// A stuckConn also does not react to Close, like a channel of an SSH connection whose peer is
// silent.
type stuckConn struct {
	deadlineless
	release chan struct{}
}

func (s stuckConn) Read([]byte) (int, error)  { <-s.release; return 0, io.EOF }
func (s stuckConn) Write([]byte) (int, error) { <-s.release; return 0, io.EOF }
func (s stuckConn) Close() error              { <-s.release; return nil }

// A removeOnly is a net.Conn on which deadlines can only be removed.
type removeOnly struct{ net.Conn }

func (removeOnly) SetDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return errNoDeadline
}

// A readOnly is a net.Conn that supports deadlines only for reads.
type readOnly struct{ net.Conn }

func (readOnly) SetWriteDeadline(time.Time) error { return errNoDeadline }

// A stuckCloseWriter is a stuckConn with a CloseWrite that blocks too.
type stuckCloseWriter struct{ stuckConn }

func (s stuckCloseWriter) CloseWrite() error { <-s.release; return nil }
