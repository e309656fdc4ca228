package websock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// A deadlineTransport checks the write deadline at each write.
type deadlineTransport struct {
	scriptTransport
	want   []time.Time // at each write
	t      *testing.T
	behind int // bytes that are written when the deadline is set, and then queued
	queued int
}

func (d *deadlineTransport) Writev(bufs ...[]byte) error {
	switch {
	case len(d.want) == 0:
		d.t.Error("a write that is one too many")
	case !d.writeDeadline.Equal(d.want[0]):
		d.t.Errorf("a write with the deadline %v, want %v", d.writeDeadline, d.want[0])
	}
	d.want = d.want[min(1, len(d.want)):]
	return d.scriptTransport.Writev(bufs...)
}

func (d *deadlineTransport) SetWriteDeadline(t time.Time) error {
	d.queued, d.behind = d.queued+d.behind, 0
	return d.scriptTransport.SetWriteDeadline(t)
}

func (d *deadlineTransport) Queued() int { return d.queued }

// writes runs f, within which one frame is written for each deadline of want.
func (d *deadlineTransport) writes(f func() error, want ...time.Time) {
	d.t.Helper()
	d.want = want
	if err := f(); err != nil {
		d.t.Error(err)
	}
	if len(d.want) > 0 {
		d.t.Errorf("%d writes are missing", len(d.want))
	}
}

func TestTheSendDeadlineHoldsForSends(t *testing.T) {
	s := &deadlineTransport{t: t}
	c := NewConn(s, Client, Options{})
	never, first, second := time.Time{}, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	send := func() error { return c.SendText([]byte("x")) }
	ping := func() error {
		s.chunks = [][]byte{frames(Client, "ping a; text b")}
		_, _, err := c.RecvMessage(nil)
		return err
	}
	heartbeat := func() error { return c.SendHeartbeat(OpText, []byte("beat")) }

	s.writes(ping, never)
	s.writes(send, never)
	c.SetSendDeadline(first)
	s.writes(send, first)
	s.writes(ping, never)
	s.writes(ping, never)
	s.writes(send, first)
	s.writes(heartbeat, never)
	c.SetSendDeadline(second)
	s.writes(ping, never)
	s.writes(send, second)
	s.writes(func() error { c.Cork(); ping(); send(); return c.Flush() }, second)
	s.writes(func() error { c.Cork(); ping(); return c.Flush() }, never)
	c.SetSendDeadline(never)
	s.writes(send, never)

	c.SetSendDeadline(first)
	s.queued = 10 // of a message
	s.writes(ping, first)
	s.writes(heartbeat, first)
	s.queued, s.behind = 0, 10
	s.writes(heartbeat, first)
	s.queued = 0
	s.writes(ping, never)
	s.queued = 10 // of the pong
	s.writes(ping, never)
	s.writes(send, first)
	s.writes(ping, first)
}

// A batchingTransport holds back what is written behind, until the deadline is set or more is written.
type batchingTransport struct {
	drainingTransport
	behind, queued int
}

func (b *batchingTransport) Batches() bool { return true }
func (b *batchingTransport) Queued() int   { return b.queued }

func (b *batchingTransport) SetWriteDeadline(t time.Time) error {
	b.queued, b.behind = b.queued+b.behind, 0
	return b.drainingTransport.SetWriteDeadline(t)
}

func (b *batchingTransport) Writev(bufs ...[]byte) error {
	b.queued, b.behind = b.queued+b.behind, 0
	return b.drainingTransport.Writev(bufs...)
}

func (b *batchingTransport) WriteBehind(bufs ...[]byte) error { return b.Writev(bufs...) }

func (b *batchingTransport) TryWrite(p []byte) (transport.PendingWrite, error) {
	return nil, b.Writev(p)
}

// A message of a Handler was written behind when a heartbeat was sent. The peer doesn't take it, so a
// deadline that is set then is that of the message.
func TestASendDeadlineHoldsForWhatWasWrittenBehind(t *testing.T) {
	s := &batchingTransport{behind: 10}
	c := NewConn(s, Client, Options{})
	if err := c.SendHeartbeat(OpPing, nil); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(time.Hour)
	c.SetSendDeadline(deadline)
	if !s.writeDeadline.Equal(deadline) {
		t.Errorf("the deadline is %v, want %v", s.writeDeadline, deadline)
	}
}

// A pong is being written when a deadline is set. It holds from the next send on, which has to wait.
func TestTheSendDeadlineHoldsForAPongThatASendWaitsFor(t *testing.T) {
	deadline := time.Now().Add(time.Hour)
	for name, send := range map[string]func(c *Conn) error{
		"SendText":     func(c *Conn) error { return c.SendText([]byte("x")) },
		"TrySend":      func(c *Conn) error { return c.TrySend(OpText, []byte("x")) },
		"SendPrepared": func(c *Conn) error { return c.SendPrepared(prepared(t, OpText, "x")) },
		"large":        func(c *Conn) error { return c.SendBinary(make([]byte, 2*pieceSize)) },
		"Drain":        func(c *Conn) error { return c.Drain(0) },
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newStuck(t, 0, frames(Client, "ping a; text b"))
			writeDeadline := func() time.Time {
				c.batch.mu.Lock()
				defer c.batch.mu.Unlock()
				return s.writeDeadline
			}
			if _, _, err := c.RecvMessage(nil); err != nil {
				t.Fatal(err)
			}
			c.SetSendDeadline(deadline)
			if at := writeDeadline(); !at.IsZero() {
				t.Errorf("the pong has the deadline %v", at)
			}
			sent := make(chan error, 1)
			go func() { sent <- send(c) }()
			waitUntil(func() bool { return writeDeadline().Equal(deadline) })
			close(s.free)
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// A drainingTransport lets calls of Drain begin, and end.
type drainingTransport struct {
	scriptTransport
	begun, free chan struct{}
}

func (d *drainingTransport) Queues() bool { return true }

func (d *drainingTransport) Unacknowledged() int { return 0 }

func (d *drainingTransport) TryWrite(p []byte) (transport.PendingWrite, error) {
	return nil, d.Writev(p)
}

func (d *drainingTransport) Drain(context.Context, int) error {
	d.begun <- struct{}{}
	<-d.free
	return nil
}

// receiveInDrain receives a message, before which a ping is answered, while c waits in Drain, and checks that
// the deadline of writes is then the one wanted.
func (d *drainingTransport) receiveInDrain(t *testing.T, c *Conn, want time.Time) {
	t.Helper()
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(0) }()
	<-d.begun
	if _, _, err := c.RecvMessage(nil); err != nil {
		t.Error(err)
	}
	if !d.writeDeadline.Equal(want) {
		t.Errorf("the deadline is %v, want %v", d.writeDeadline, want)
	}
	close(d.free)
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// The queue has become empty, but the goroutine that waits for that in Drain doesn't know yet. It would
// go on waiting if a pong were queued now, so its deadline must still hold then.
func TestAPongDoesNotLiftTheDeadlineOfADrain(t *testing.T) {
	s := &drainingTransport{begun: make(chan struct{}), free: make(chan struct{})}
	s.chunks = [][]byte{frames(Client, "ping a; text b")}
	c := NewConn(s, Client, Options{})
	deadline := time.Now().Add(time.Hour)
	c.SetSendDeadline(deadline)
	s.receiveInDrain(t, c, deadline)
}

// A Drain begins when nothing is queued, and the send deadline is lifted. What is queued before the
// transport looks has the deadline, as Drain waits for that.
func TestAPongBehindADrainHasTheSendDeadline(t *testing.T) {
	s := &drainingTransport{begun: make(chan struct{}), free: make(chan struct{})}
	s.chunks = [][]byte{frames(Client, "ping a; text b"), frames(Client, "ping c; text d")}
	c := NewConn(s, Client, Options{})
	if _, _, err := c.RecvMessage(nil); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(time.Hour)
	c.SetSendDeadline(deadline)
	s.receiveInDrain(t, c, deadline)
}

// A queueingTransport queues what is written, and lets writes begin, and end.
type queueingTransport struct {
	drainingTransport
	writing chan struct{}
	queued  atomic.Int32
}

func (q *queueingTransport) Queued() int { return int(q.queued.Load()) }

func (q *queueingTransport) Writev(bufs ...[]byte) error {
	q.writing <- struct{}{}
	<-q.free
	q.queued.Store(10)
	return q.scriptTransport.Writev(bufs...)
}

// A Drain begins while a pong is written that the transport is going to queue.
func TestAPongThatADrainMayWaitForHasTheSendDeadline(t *testing.T) {
	s := &queueingTransport{writing: make(chan struct{})}
	s.begun, s.free = make(chan struct{}), make(chan struct{})
	s.chunks = [][]byte{frames(Client, "ping a; text b")}
	c := NewConn(s, Client, Options{})
	deadline := time.Now().Add(time.Hour)
	c.SetSendDeadline(deadline)
	received := make(chan error, 1)
	go func() {
		_, _, err := c.RecvMessage(nil)
		received <- err
	}()
	<-s.writing
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(0) }()
	<-s.begun
	if !s.writeDeadline.Equal(deadline) {
		t.Errorf("the deadline is %v, want %v", s.writeDeadline, deadline)
	}
	close(s.free)
	if err := errors.Join(<-received, <-drained); err != nil {
		t.Error(err)
	}
}

func TestAHeartbeatDoesNotLiftTheDeadlineOfASend(t *testing.T) {
	s := &gatedTransport{begun: make(chan struct{}), free: make(chan struct{})}
	c := NewConn(s, Client, Options{})
	deadline := time.Now().Add(time.Hour)
	c.SetSendDeadline(deadline)
	sent := make(chan error, 1)
	go func() { sent <- c.SendText([]byte("x")) }()
	<-s.begun
	if err := c.SendHeartbeat(OpPing, nil); err != nil {
		t.Error(err)
	}
	if !s.writeDeadline.Equal(deadline) {
		t.Errorf("the deadline is %v, want %v", s.writeDeadline, deadline)
	}
	s.free <- struct{}{}
	<-s.begun
	s.free <- struct{}{}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// The deadline that Close sets replaces one that was set before, whatever was written meanwhile.
func TestCloseReplacesTheSendDeadline(t *testing.T) {
	s := &scriptTransport{chunks: [][]byte{frames(Client, "ping a; text b")}}
	c := NewConn(s, Client, Options{Limits: Limits{CloseTimeout: time.Hour}})
	c.SetSendDeadline(time.Unix(1, 0))
	if _, _, err := c.RecvMessage(nil); err != nil {
		t.Error(err)
	}
	before := time.Now()
	if err := c.SendClose(CloseNormal, ""); err != nil {
		t.Error(err)
	}
	if s.writeDeadline.Before(before.Add(time.Hour)) {
		t.Errorf("%v", s.writeDeadline)
	}
	earlier := time.Now().Add(time.Minute)
	c.SetSendDeadline(earlier)
	if !s.writeDeadline.Equal(earlier) {
		t.Errorf("%v, want %v", s.writeDeadline, earlier)
	}
	c.SetSendDeadline(time.Time{})
	if s.writeDeadline.Before(before.Add(time.Hour)) {
		t.Errorf("%v", s.writeDeadline)
	}
}

func TestPingsOfKeepAliveAreSentAfterTheSendDeadline(t *testing.T) {
	policy, err := (&KeepAlive{Ping: 10 * time.Millisecond, Timeout: -1}).policy()
	if err != nil {
		t.Fatal(err)
	}
	for name, carrier := range carriers {
		for _, secure := range []bool{false, true} {
			for _, role := range []Role{Client, Server} {
				for _, pushed := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, TLS %v, %v, pushed %v", name, secure, role, pushed), func(t *testing.T) {
						near, far := netpair.Sockets(t, "tcp")
						if secure {
							near, far = netpair.SecuredBy(tls.VersionTLS13)(t, near, far)
						}
						attached, err := Attach(carrier, near, nil)
						if err != nil {
							t.Fatal(err)
						}
						c := NewConn(attached, role, Options{})
						pings, messages := make(chan bool, 1000), make(chan string, 1)
						peer := NewConn(std.New(far, nil), Client+Server-role, Options{OnPing: func(*Conn, []byte) { pings <- true }})
						defer peer.Abort(nil)
						defer c.Abort(nil)
						go func() {
							_, msg, _ := peer.RecvMessage(nil)
							messages <- string(msg)
						}()
						if !pushed {
							go c.RecvMessage(nil)
						} else if err := c.SetHandler(Messages(func(*Conn, Opcode, []byte) {}, nil)); err != nil {
							t.Fatal(err)
						}
						c.SetSendDeadline(time.Unix(1, 0))
						keepAlive(c, policy)
						for range 3 {
							mustReturn(t, "a ping", func() { <-pings })
						}
						c.SetSendDeadline(time.Time{})
						if err := c.SendText([]byte("later")); err != nil {
							t.Error(err)
						}
						mustReturn(t, "the message", func() {
							if got := <-messages; got != "later" {
								t.Errorf("%q", got)
							}
						})
					})
				}
			}
		}
	}
}
