package std_test

import (
	"errors"
	"net"
	"time"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// A slowCloser is a net.Conn whose Close blocks until release.
type slowCloser struct {
	net.Conn
	closing chan bool // receives a value when Close is called
	release chan bool
}

func (s *slowCloser) Close() error {
	s.closing <- true
	<-s.release
	return s.Conn.Close()
}

// A deadlineless is a net.Conn that does not support deadlines, and records that it was closed.
type deadlineless struct {
	net.Conn
	closed chan struct{}
}

var errNoDeadline = errors.New("no deadlines")

func (deadlineless) SetDeadline(time.Time) error      { return errNoDeadline }
func (deadlineless) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (deadlineless) SetWriteDeadline(time.Time) error { return errNoDeadline }
func (d deadlineless) Close() error                   { close(d.closed); return d.Conn.Close() }

// A wrapper is a net.Conn that has a method NetConn like a tls.Conn, and records that it was closed.
type wrapper struct {
	net.Conn
	closed chan struct{}
}

func (w wrapper) NetConn() net.Conn { return w.Conn }
func (w wrapper) Close() error      { close(w.closed); return w.Conn.Close() }

// A recorder is a net.Conn that records what is read.
type recorder struct {
	net.Conn
	read []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.read = append(r.read, p[:n]...)
	return n, err
}

// A replier is a Receiver that writes something as soon as it is called with bytes.
type replier struct {
	conn  *std.Conn
	reply []byte
	wrote chan error
}

func (r *replier) Readable() error {
	view, err := r.conn.View()
	if err == transport.ErrWouldBlock {
		return nil
	}
	if err != nil {
		return err
	}
	r.conn.Consume(len(view))
	switch rest, err := r.conn.TryWrite(r.reply); {
	case rest != nil:
		rest.Finish(r)
	default:
		r.wrote <- err
	}
	return nil
}

func (r *replier) Wrote(err error) { r.wrote <- err }
func (r *replier) End(error)       {}
func (r *replier) Finish()         { r.conn.Close() }

// A delayed is a net.Conn whose writes take a while.
type delayed struct {
	net.Conn
	delay time.Duration
}

func (d delayed) Write(p []byte) (int, error) {
	time.Sleep(d.delay)
	return d.Conn.Write(p)
}
