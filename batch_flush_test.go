package websock

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

func TestFramesSentWhileBytesAreHandledAreWrittenTogether(t *testing.T) {
	large := strings.Repeat("l", pieceSize+1)
	tests := []struct {
		name   string
		limit  int
		handle func(c *Conn)
		writes int
		want   string
	}{
		{"all kinds of sends", 0, func(c *Conn) {
			c.SendText([]byte("a"))
			c.SendPing([]byte("p"))
			sb, _ := c.Reserve(10)
			copy(sb.Bytes(), "lent")
			sb.SendBinary(4)
			w, _ := c.NextWriter(OpText)
			w.Write([]byte("written"))
			w.Close()
			misplaced, _ := c.Reserve(1)
			if err := misplaced.SendFrame(OpContinuation, true, 1); err != ErrFrameOrder {
				t.Error(err)
			}
			c.NetConn(OpBinary).Write([]byte("streamed"))
			c.SendFrame(OpText, false, []byte("b"))
			c.SendFrame(OpContinuation, true, nil)
		}, 1, "text a; ping p; bin lent; text written; bin streamed; text+ b; cont"},
		{"sends of another goroutine", 0, func(c *Conn) {
			c.SendText([]byte("a"))
			sent := make(chan error)
			go func() { sent <- c.SendText([]byte("b")) }()
			<-sent // it doesn't wait for the Handler, and also writes its batch
			c.SendText([]byte("c"))
		}, 2, "text a; text b; text c"},
		{"Flush", 0, func(c *Conn) {
			c.SendText([]byte("a"))
			c.Flush()
			c.SendText([]byte("b"))
		}, 2, "text a; text b"},
		{"as much as Limits.SendQueue at a time", 20, func(c *Conn) {
			for range 6 {
				c.SendText([]byte("12345678"))
			}
		}, 3, strings.TrimSuffix(strings.Repeat("text 12345678; ", 6), "; ")},
		{"large frames leave at once, behind what came before", 0, func(c *Conn) {
			c.SendText([]byte("a"))
			c.SendBinary([]byte(large))
			c.SendText([]byte("b"))
			sb, _ := c.Reserve(len(large))
			copy(sb.Bytes(), large)
			sb.SendBinary(len(large))
			c.SendText([]byte("c"))
		}, 5, "text a; bin " + large + "; text b; bin " + large + "; text c"},
		{"a close frame", 0, func(c *Conn) {
			c.SendText([]byte("a"))
			c.CloseWith(4000, "")
			if err := c.SendText([]byte("b")); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}, 1, "text a; close " + closePayload(4000, "")},
		{"Cork, which is to end later", 0, func(c *Conn) {
			c.Cork()
			c.SendText([]byte("a"))
		}, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, s := newScripted(Server, Limits{SendQueue: test.limit}, frames(Server, "text x"))
			c.SetHandler(&recorder{onData: func(c *Conn, _ Header, _ []byte) {
				test.handle(c)
			}})
			s.err = transport.ErrWouldBlock
			s.readable = true
			s.receiver.Readable()
			if got := unframe(Server, s.out); got != test.want || s.writes != test.writes {
				t.Errorf("sent %.200q in %d writes, want %.200q in %d", got, s.writes, test.want, test.writes)
			}
		})
	}
}

// waitUntilGathered waits until the pending batch has n bytes.
func waitUntilGathered(c *Conn, n int) {
	waitUntil(func() bool {
		c.batch.mu.Lock()
		defer c.batch.mu.Unlock()
		return c.batch.pending != nil && len(c.batch.pending.B) >= n
	})
}

// A sender that writes its frame without batching it also writes what a Handler has sent meanwhile.
func TestAFrameWrittenOnItsOwnFlushesUnownedFrames(t *testing.T) {
	for way, send := range map[string]func(c *Conn) error{
		"lent": func(c *Conn) error {
			sb, err := c.Reserve(3)
			if err != nil {
				return err
			}
			copy(sb.Bytes(), "big")
			return sb.SendBinary(3)
		},
		"large": func(c *Conn) error { return c.SendBinary(bytes.Repeat([]byte("b"), pieceSize+1)) },
	} {
		t.Run(way, func(t *testing.T) {
			s := &gatedTransport{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}
			s.chunks = [][]byte{frames(Server, "text a; ping p; text b")}
			s.err = transport.ErrWouldBlock
			c := NewConn(s, Server, Options{})
			c.SetHandler(&recorder{onData: func(c *Conn, _ Header, payload []byte) { c.SendText(payload) }})
			sent := make(chan error)
			go func() { sent <- send(c) }()
			<-s.begun
			s.readable = true
			s.receiver.Readable()
			close(s.free)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			got := unframe(Server, s.out)
			if !strings.HasPrefix(got, "bin b") || !strings.HasSuffix(got, "; text a; text b; pong p") || s.writes != 2 {
				t.Errorf("sent %.10q ... %q in %d writes", got, got[max(0, len(got)-30):], s.writes)
			}
		})
	}
}

func TestAllKindsOfSendersDuringAWriteKeepFramesWhole(t *testing.T) {
	const senders, each = 8, 40
	s := &scriptTransport{}
	c := NewConn(s, Client, Options{Limits: Limits{SendQueue: 5000}})
	var sending sync.WaitGroup
	for g := range senders {
		sending.Go(func() {
			for i := range each {
				msg := bytes.Repeat([]byte{byte('a' + g)}, 1+i*100)
				switch (g + i) % 4 {
				case 0:
					c.Cork()
				case 1:
					if err := c.Flush(); err != nil {
						t.Error(err)
					}
				}
				var err error
				if i%2 == 0 {
					err = c.SendBinary(msg)
				} else {
					err = ways["Reserve"](c, msg)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	if err := c.Flush(); err != nil {
		t.Error(err)
	}
	next := [senders]int{}
	for _, f := range strings.Split(unframe(Client, s.out), "; ") {
		payload := strings.TrimPrefix(f, "bin ")
		g := payload[0] - 'a'
		if strings.Trim(payload, payload[:1]) != "" || len(payload) != 1+next[g]*100 {
			t.Fatalf("torn, lost or out of order: %.50q of %d", f, len(f))
		}
		next[g]++
	}
	for g, n := range next {
		if n != each {
			t.Errorf("%d messages of sender %d, want %d", n, g, each)
		}
	}
}

func TestFlushReturnsTheErrorOfItsWrite(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	c.Cork()
	c.SendText([]byte("a"))
	s.writeErr = errors.New("broken pipe")
	if err := c.Flush(); !errors.Is(err, s.writeErr) {
		t.Errorf("%v", err)
	}
	if err := c.Flush(); !errors.Is(err, s.writeErr) {
		t.Errorf("again: %v", err)
	}
}

func TestPongsNeverBlockTheReceiver(t *testing.T) {
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
		c.Recv(nil) // and so does the wait for more bytes
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

func TestFlushingForOtherSendersNeverBlocksTheReceiver(t *testing.T) {
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
	waitUntil(func() bool { return c.Stats().Writes >= 2 }) // the second one is counted when the transport says that it has ended
	if st := c.Stats(); st.Writes != 2 || st.WireSent != uint64(len(s.out)) {
		t.Errorf("%+v", st)
	}
}

func TestAFailedBackgroundWriteStartsTheCloseTimeout(t *testing.T) {
	c, s := newStuck(t, 3, frames(Client, "text a"))
	r := &recorder{onData: func(c *Conn, _ Header, payload []byte) { c.SendText(payload) }}
	c.SetHandler(r)
	s.err = errors.New("reset by the peer")
	s.readable = true
	s.receiver.Readable()
	cause := errors.New("cable cut")
	s.free <- cause
	waitUntil(func() bool { return c.Err() != nil })
	if left := time.Until(s.readDeadline); left <= 0 || left > time.Minute {
		t.Errorf("the peer has %v left", left)
	}
	s.readable = true
	s.receiver.Readable()
	var closed *CloseError
	if len(r.closed) != 1 || !errors.As(r.closed[0], &closed) || closed.Code != CloseAbnormal || !errors.Is(closed, cause) {
		t.Errorf("OnClose got %v", r.closed)
	}
}

func TestNothingIsWrittenAfterAPartOfAFrame(t *testing.T) {
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
