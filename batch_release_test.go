package websock

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// A stuckTransport transport takes a few bytes; a write of more waits until it is set free.
type stuckTransport struct {
	script
	room int
	rest []byte
	free chan error // what the write under way ends with
	ends chan struct{}
	over <-chan struct{} // closed when the test ends
}

func (s *stuckTransport) TryWrite(p []byte) (transport.PendingWrite, error) {
	n := min(s.room, len(p))
	s.room -= n
	s.script.Writev(p[:n])
	if n == len(p) {
		return nil, nil
	}
	s.rest = p[n:]
	return s, nil
}

func (s *stuckTransport) Finish(done transport.WriteDone) {
	go func() {
		done.Wrote(s.Writev(s.rest))
	}()
}

func (s *stuckTransport) Queues() bool                     { return false }
func (s *stuckTransport) Drain(context.Context, int) error { return nil }
func (s *stuckTransport) Unacknowledged() int              { return 0 }

func (s *stuckTransport) Close() error { close(s.ends); return nil }

func (s *stuckTransport) Writev(bufs ...[]byte) error {
	select {
	case err := <-s.free:
		if err != nil {
			return err
		}
		return s.script.Writev(bufs...)
	case <-s.over:
		return net.ErrClosed
	}
}

// sends returns once that has left.
func (s *stuckTransport) sends(role Role, want string) {
	waitUntil(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return unframe(role, s.out) == want
	})
}

func newStuck(t *testing.T, room int, chunks ...[]byte) (*Conn, *stuckTransport) {
	s := newStuckTransport(t, room, chunks...)
	return NewConn(s, Client, Options{Limits: Limits{PongRate: 1000}}), s
}

func newStuckTransport(t *testing.T, room int, chunks ...[]byte) *stuckTransport {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	return &stuckTransport{room: room, free: make(chan error), ends: make(chan struct{}), over: over, script: script{chunks: chunks}}
}

func TestNoPongMakesAReceiverWaitForThePeer(t *testing.T) {
	flood := strings.Repeat("ping "+strings.Repeat("p", 100)+"; ", 50)
	chunks := func() [][]byte {
		return [][]byte{frames(Client, flood+"text a"), frames(Client, flood+"ping last; text b")}
	}
	want := strings.Repeat("pong "+strings.Repeat("p", 100)+"; ", 50) + "pong last"
	t.Run("pulled", func(t *testing.T) {
		c, s := newStuck(t, 1000, append(chunks(), nil)...) // a timeout
		for _, want := range []string{"a", "b"} {
			if _, msg, err := c.RecvMessage(nil); string(msg) != want || err != nil {
				t.Fatalf("%q, %v", msg, err)
			}
		}
		c.Recv(nil) // as does who waits for more
		close(s.free)
		s.sends(Client, want)
	})
	t.Run("pushed", func(t *testing.T) {
		c, s := newStuck(t, 1000, chunks()...)
		r := &recorder{}
		c.SetHandler(r)
		for range 2 {
			s.readable = true
			s.receiver.Readable()
		}
		if want := []string{"text a", "text b"}; !slices.Equal(r.events, want) {
			t.Fatalf("%q, want %q", r.events, want)
		}
		close(s.free)
		s.sends(Client, want)
	})
}

// What another goroutine sends while bytes are handled was not to be sent by who handles them:
// it would not receive meanwhile, and a peer that does the same not either.
func TestAReceiverDoesNotWaitForThePeerWithWhatOthersSend(t *testing.T) {
	c, s := newStuck(t, 3, frames(Client, "text a"), frames(Client, "text b"))
	r := &recorder{onData: func(c *Conn, _ Header, _ []byte) {
		sent := make(chan error)
		go func() { sent <- c.SendText([]byte("from another goroutine")) }()
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}}
	c.SetHandler(r)
	for range 2 {
		s.readable = true
		s.receiver.Readable()
	}
	if want := []string{"text a", "text b"}; !slices.Equal(r.events, want) {
		t.Fatalf("%q, want %q", r.events, want)
	}
	close(s.free)
	s.sends(Client, "text from another goroutine; text from another goroutine")
	if st := c.Stats(); st.Writes != 2 || st.WireSent != uint64(len(s.out)) {
		t.Errorf("%+v", st)
	}
}

func TestAWriteThatFailsBehindTheReceiverLimitsTheTimeLeft(t *testing.T) {
	c, s := newStuck(t, 3, frames(Client, "text a"))
	r := &recorder{onData: func(c *Conn, _ Header, payload []byte) { c.SendText(payload) }}
	c.SetHandler(r)
	s.err = errors.New("reset by the peer")
	s.readable = true
	s.receiver.Readable()
	cause := errors.New("cable cut")
	s.free <- cause
	waitUntil(func() bool { return c.Err() != nil })
	if left := time.Until(s.readDeadline); left <= 0 || left > DefaultCloseTimeout {
		t.Errorf("the peer has %v left", left)
	}
	s.readable = true
	s.receiver.Readable()
	var closed *CloseError
	if len(r.closed) != 1 || !errors.As(r.closed[0], &closed) || closed.Code != CloseAbnormal || !errors.Is(closed, cause) {
		t.Errorf("OnClose got %v", r.closed)
	}
}

func TestNothingFollowsAPartOfAFrame(t *testing.T) {
	c, s := newStuck(t, 3, frames(Client, "ping first; text a"), frames(Client, "ping second; text b"), frames(Client, "text c"))
	for _, want := range []string{"a", "b", "c"} {
		if _, msg, err := c.RecvMessage(nil); string(msg) != want || err != nil {
			t.Fatalf("%q, %v", msg, err)
		}
		if want == "b" { // the second ping waits for the answer to the first
			s.free <- errors.New("cable cut")
			waitUntil(func() bool { return c.Err() != nil })
			s.room = 1000
		}
	}
	if len(s.out) != 3 {
		t.Errorf("%x was sent", s.out)
	}
}
