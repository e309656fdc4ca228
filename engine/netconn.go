package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// NetConn returns the connection as a stream of bytes, for protocols that bring
// their own framing (MQTT, SSH, RFB). Every Write of anything sends one message of op; Read
// takes the payload of data messages of either kind, one after another, whatever
// their borders. The peer's close frame with CloseNormal or CloseGoingAway reads
// as io.EOF. op is OpText or OpBinary, else every Write returns ErrFrameOrder.
//
// It keeps the contract of net.Conn, and passes golang.org/x/net/nettest: any number of
// goroutines may call any method at once, and a deadline that has passed makes Read or Write
// return a net.Error whose Timeout is true and which is os.ErrDeadlineExceeded. The read
// deadline is that of the Conn; the write deadline is the stream's own.
//
// Write returns when the message was written or is queued, at most Limits.SendQueue bytes of
// them. At its deadline a message that didn't find room has not been sent; if what is queued
// before it doesn't leave within Limits.CloseTimeout either, the connection is over. A message
// of more than Limits.SendQueue bytes may be partly out at its deadline: that ends sending for
// good. However it ends, Read returns what has come, and then the error.
func (c *Conn) NetConn(op Opcode) net.Conn { return &stream{c: c, op: op} }

type stream struct {
	c       *Conn
	op      Opcode
	reading sync.Mutex // held by Read

	mu       sync.Mutex
	deadline writeDeadline
	endStall func() bool // nil: no write has timed out since the last one that did not
}

func (s *stream) Read(p []byte) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if err := s.c.beginRecv(); err != nil {
		return 0, endOfFile(err)
	}
	if s.c.recvDeadlinePassed() {
		return 0, ErrTimeout
	}
	for len(p) > 0 {
		_, n, err := s.c.Recv(p)
		if n > 0 || err != nil {
			return n, endOfFile(err)
		}
	}
	return 0, nil
}

// endOfFile turns a regular end of the connection into io.EOF.
func endOfFile(err error) error {
	var closed *CloseError
	if errors.As(err, &closed) && !closed.Local &&
		(closed.Code == CloseNormal || closed.Code == CloseGoingAway) {
		return io.EOF
	}
	return err
}

func (s *stream) Write(p []byte) (int, error) {
	if !s.op.startsMessage() {
		return 0, ErrFrameOrder
	}
	if err := s.c.Err(); err != nil || len(p) == 0 {
		return 0, asNetError(err)
	}
	err := s.send(p)
	switch {
	case err == ErrTimeout:
		s.beginStall()
		return 0, err
	case err != nil:
		return 0, asNetError(err)
	}
	s.stopStall()
	return len(p), nil
}

// send returns ErrTimeout if nothing was sent before the deadline.
func (s *stream) send(p []byte) error {
	s.mu.Lock()
	ctx := s.deadline.context()
	s.mu.Unlock()
	if s.c.refuses() && s.c.Queues() {
		if err := ctx.Err(); err != nil {
			return err
		}
		return s.c.SendFrame(s.op, true, p)
	}
	return s.c.SendContext(ctx, s.op, p)
}

// beginStall gives the peer a time to take what is queued.
func (s *stream) beginStall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endStall == nil {
		s.endStall = callAt(time.Now().Add(s.c.closeTimeout()), s.giveUp)
	}
}

func (s *stream) stopStall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endStall != nil {
		s.endStall()
		s.endStall = nil
	}
}

var errStalled = fmt.Errorf("websock: a write timed out, and the peer takes nothing: %w", ErrTimeout)

func (s *stream) giveUp() {
	s.stopStall()
	if s.c.Err() == nil && s.c.stalled() {
		s.c.Abort(errStalled)
	}
}

// A writeTimeout is the error of a connection that ended with a deadline, as a net.Error.
type writeTimeout struct{ error }

func (writeTimeout) Timeout() bool   { return true }
func (writeTimeout) Temporary() bool { return false }
func (w writeTimeout) Unwrap() error { return w.error }

func asNetError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return writeTimeout{err}
	}
	return err
}

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline.set(t)
	return s.c.Err()
}

func (s *stream) Close() error                      { return s.c.Close() }
func (s *stream) LocalAddr() net.Addr               { return s.c.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr              { return s.c.RemoteAddr() }
func (s *stream) SetReadDeadline(t time.Time) error { return s.c.SetRecvDeadline(t) }

// A writeDeadline ends the context of the writes that are under way when it passes, and of
// those to come until it is set again.
type writeDeadline struct {
	ctx    context.Context // nil: there was no write
	cancel func()
	stop   func() bool // takes the deadline back, and reports whether it has not passed; nil: there is none
}

// context returns the context of a write.
func (d *writeDeadline) context() context.Context {
	if d.ctx == nil {
		d.renew()
	}
	return d.ctx
}

func (d *writeDeadline) renew() {
	ctx, cancel := context.WithCancel(context.Background())
	d.ctx, d.cancel = deadlineContext{ctx}, cancel
}

func (d *writeDeadline) set(t time.Time) {
	passed := d.stop != nil && !d.stop() // d.ctx ends now if it has not yet
	if d.ctx == nil || passed || d.ctx.Err() != nil {
		d.renew()
	}
	d.stop = nil
	switch {
	case t.IsZero():
	case time.Now().Before(t):
		d.stop = callAt(t, d.cancel)
	default:
		d.cancel()
	}
}

// A deadlineContext says ErrTimeout when it has ended.
type deadlineContext struct{ context.Context }

func (d deadlineContext) Err() error {
	if d.Context.Err() != nil {
		return ErrTimeout
	}
	return nil
}

// callAt calls f at that time. stop reports whether it has kept it from being called.
func callAt(t time.Time, f func()) (stop func() bool) {
	ctx, cancel := context.WithDeadline(context.Background(), t)
	stopped := context.AfterFunc(ctx, f)
	return func() bool {
		defer cancel()
		return stopped()
	}
}
