//go:build linux

package epoll

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

func TestWritevKeepsTheOrderOfItsSlicesWhileThePeerReads(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		c, peer := attached(t, network)
		const slices, size = 4000, 1500
		var bufs [][]byte
		for n := range slices {
			bufs = append(bufs, numbered(n, size))
		}
		want := bytes.Join(bufs, nil)
		written := make(chan error, 1)
		go func() { written <- c.Writev(bufs...) }()
		readAll(t, peer, want)
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
}

// modes are the states of a connection whose queue is being written.
var modes = map[string]func(t *testing.T, c *Conn){
	"neither pulled nor pushed": func(*testing.T, *Conn) {},
	"pulled": func(t *testing.T, c *Conn) {
		ended := make(chan struct{})
		go func() {
			c.View()
			close(ended)
		}()
		t.Cleanup(func() {
			c.Close()
			<-ended
		})
		waitUntil(t, "it waits", c.isAwaited)
	},
	"pushed": func(t *testing.T, c *Conn) { push(t, c) },
	"paused": func(t *testing.T, c *Conn) {
		push(t, c)
		c.Pause()
	},
}

func TestQueuedBytesAreSentInOrder(t *testing.T) {
	for mode, enter := range modes {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(mode+"/"+network, func(t *testing.T) {
				c, peer := attached(t, network)
				enter(t, c)
				want := fill(t, c)
				for n := range 5000 {
					part := numbered(n, 1+n%100)
					if err := c.Writev(part[:n%len(part)], nil, part[n%len(part):]); err != nil {
						t.Fatal(err)
					}
					want = append(want, numbered(n, 1+n%100)...)
				}
				if q := c.Queued(); q < 200000 || q > len(want) {
					t.Errorf("%d bytes are queued", q)
				}
				half := len(want) * 2 / 3
				readAll(t, peer, want[:half])
				more := numbered(1, 100000) // a part of the queue was written
				if err := c.Writev(more); err != nil {
					t.Fatal(err)
				}
				readAll(t, peer, append(want[half:], numbered(1, 100000)...))
				waitUntil(t, "nothing is queued", func() bool { return c.Queued() == 0 })
				if err := c.Writev([]byte("end")); err != nil {
					t.Error(err)
				}
				readAll(t, peer, []byte("end"))
			})
		}
	}
}

func TestQueuedCountsTheBytesNotYetWritten(t *testing.T) {
	c, peer := attached(t, "unix") // takes no more than its buffers hold
	if c.Queued() != 0 {
		t.Errorf("%d bytes are queued from the start", c.Queued())
	}
	sent := fill(t, c)
	was := c.Queued()
	c.Writev([]byte("abc"), nil, []byte("de"))
	if got := c.Queued() - was; got != 5 {
		t.Errorf("%d more, want 5", got)
	}
	if err := flush(c); err != nil || c.Queued() != was+5 {
		t.Errorf("Flush of what can't leave: %v, %d", err, c.Queued())
	}
	readAll(t, peer, sent)
	if err := flush(c); err != nil || c.Queued() != 0 {
		t.Errorf("Flush of what can: %v, %d", err, c.Queued())
	}
	readAll(t, peer, []byte("abcde"))
	if err := flush(c); err != nil {
		t.Errorf("Flush of nothing: %v", err)
	}
}

func TestQueueThatIsNeverEmptyDoesNotGrow(t *testing.T) {
	c, peer := attached(t, "unix")
	fill(t, c)
	p := make([]byte, 100<<10)
	for range 200 {
		if err := c.Writev(make([]byte, len(p))); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, p); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if size := c.out.queue.Cap(); size > 4<<20 {
		t.Errorf("%d bytes are held for a queue of %d", size, c.out.queued())
	}
}

func TestDrainReturns(t *testing.T) {
	tests := []struct {
		name string
		most int
		do   func(c *Conn, peer net.Conn, sent []byte)
		want error
	}{
		{"when the peer has taken all", 0, func(_ *Conn, peer net.Conn, sent []byte) { io.ReadFull(peer, make([]byte, len(sent))) }, nil},
		{"at once when little enough waits", 1 << 20, func(*Conn, net.Conn, []byte) {}, nil},
		{"at the deadline", 0, func(c *Conn, _ net.Conn, _ []byte) { c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		{"at a deadline that has passed", 0, func(c *Conn, _ net.Conn, _ []byte) { c.SetWriteDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"when we close", 0, func(c *Conn, _ net.Conn, _ []byte) { c.Close() }, net.ErrClosed},
		{"when the peer resets", 0, func(_ *Conn, peer net.Conn, _ []byte) { reset(peer) }, syscall.ECONNRESET},
	}
	for _, test := range tests {
		for mode, enter := range modes {
			t.Run(test.name+"/"+mode, func(t *testing.T) {
				c, peer := attached(t, "tcp")
				enter(t, c)
				sent := fill(t, c)
				drained := make(chan error)
				for range 3 {
					go func() { drained <- c.Drain(context.Background(), test.most) }()
				}
				test.do(c, peer, sent)
				for range 3 {
					if err := <-drained; !errors.Is(err, test.want) && !(test.want == syscall.ECONNRESET && errors.Is(err, syscall.EPIPE)) {
						t.Errorf("%v, want %v", err, test.want)
					}
				}
				if test.want != nil && c.Queued() > 0 {
					t.Errorf("%d bytes are queued after the end", c.Queued())
				}
			})
		}
	}
}

func TestDrainWaitsOnlyForTheBytesAskedFor(t *testing.T) {
	c, peer := attached(t, "unix")
	sent := fill(t, c)
	c.Writev(make([]byte, 1<<20))
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(context.Background(), 1<<19) }()
	io.ReadFull(peer, make([]byte, len(sent)))
	select {
	case err := <-drained:
		t.Fatalf("returned with %d bytes queued: %v", c.Queued(), err)
	case <-time.After(10 * time.Millisecond):
	}
	io.ReadFull(peer, make([]byte, 1<<19))
	if err := <-drained; err != nil || c.Queued() > 1<<19 {
		t.Errorf("%v, %d bytes queued", err, c.Queued())
	}
}

func TestResetEndsWritingForGood(t *testing.T) {
	for mode, enter := range modes {
		t.Run(mode, func(t *testing.T) {
			c, peer := attached(t, "tcp")
			enter(t, c)
			fill(t, c)
			reset(peer)
			var err error
			waitUntil(t, "a write fails", func() bool { err = c.Writev([]byte("more")); return err != nil })
			if again := c.Writev([]byte("more")); again != err {
				t.Errorf("%v, then %v", err, again)
			}
			if flushed := flush(c); flushed != err {
				t.Errorf("Flush: %v", flushed)
			}
			if drained := c.Drain(context.Background(), 0); drained != err {
				t.Errorf("Drain: %v", drained)
			}
			if c.Queued() != 0 {
				t.Errorf("%d bytes are queued", c.Queued())
			}
		})
	}
}

// wantStalled fails the test unless err says that queued bytes could not be sent in time.
func wantStalled(t *testing.T, err error) {
	t.Helper()
	var failed *transport.SendError
	if !errors.As(err, &failed) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the receiver got %v", err)
	}
}

func TestStalledPeerFailsAtTheWriteDeadline(t *testing.T) {
	tests := []struct {
		name string
		set  func(c *Conn) // when all is queued
	}{
		{"set before", nil},
		{"set when all is queued", func(c *Conn) { c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) }},
		{"moved on, then back", func(c *Conn) {
			c.SetWriteDeadline(time.Now().Add(time.Hour))
			c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		}},
		{"sooner than the read deadline", func(c *Conn) {
			c.SetReadDeadline(time.Now().Add(time.Hour))
			c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		}},
	}
	for _, test := range tests {
		for _, paused := range []bool{false, true} {
			t.Run(test.name, func(t *testing.T) {
				begin := func() (c *Conn, s *sink) {
					c, _ = attached(t, "tcp")
					s = push(t, c)
					if paused {
						c.Pause()
					}
					return c, s
				}
				c, s := begin()
				if test.set != nil {
					fill(t, c)
					test.set(c)
				} else {
					late := func(soon time.Duration) bool { // the deadline has passed before anything was queued
						c.SetWriteDeadline(time.Now().Add(soon))
						return c.Writev(make([]byte, 1<<20)) != nil
					}
					for soon := 50 * time.Millisecond; late(soon); soon *= 2 {
						if soon > time.Minute {
							t.Fatal("nothing is queued")
						}
						c, s = begin()
					}
				}
				if paused {
					waitUntil(t, "the deadline has passed", func() bool { return c.has(sendFailed) })
					c.Resume()
				}
				wantStalled(t, s.end(t))
				if err := c.Writev([]byte("more")); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a write: %v", err)
				}
			})
		}
	}
}

func TestWriteDeadlineDoesNotMatterOnceTheQueueIsEmpty(t *testing.T) {
	c, peer := attached(t, "tcp")
	s := push(t, c)
	sent := fill(t, c)
	readAll(t, peer, sent)
	if err := c.Drain(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.writeDeadline = timing.Now() // as if it had been set before
	c.state.Or(limited)
	c.mu.Unlock()
	haveDeadlinesChecked(t, c)
	io.WriteString(peer, "still here")
	waitUntil(t, "bytes arrive", func() bool { return s.got() == "still here" })
	if err := c.Writev([]byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write after the deadline: %v", err)
	}
	c.SetWriteDeadline(time.Time{})
	if err := c.Writev([]byte("later")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write after that: %v", err)
	}
}

func TestWriteAfterTheDeadlineEndsAPushedConnection(t *testing.T) {
	c, _ := attached(t, "tcp")
	s := push(t, c)
	fill(t, c)
	c.mu.Lock()
	c.writeDeadline = timing.Now() // the loop doesn't know yet
	c.state.Or(limited)
	c.scheduleDeadlineLocked()
	c.mu.Unlock()
	if err := c.Writev([]byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	wantStalled(t, s.end(t))
}

func TestPongIsSentAfterTheQueueHasDrained(t *testing.T) {
	transport, peer := attached(t, "tcp")
	c := websock.NewConn(transport, websock.Server, websock.Options{})
	c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, nil))
	large := bytes.Repeat([]byte("x"), 1<<20)
	if err := c.SendBinary(large); err != nil {
		t.Fatal(err)
	}
	io.WriteString(peer, "\x89\x81\x00\x00\x00\x00p") // which reads nothing
	waitUntil(t, "the ping is received", func() bool { return c.Stats().PingsReceived == 1 })
	readAll(t, peer, append(engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpBinary, Length: 1 << 20}), large...))
	readAll(t, peer, []byte("\x8a\x01p"))
}
