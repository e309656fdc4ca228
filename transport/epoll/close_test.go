//go:build linux

package epoll

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/timing"
)

// linger calls Linger in a goroutine, waits until it has begun, and returns a channel with its
// result.
func linger(t *testing.T, c *Conn, d time.Duration) <-chan error {
	lingered := make(chan error, 1)
	go func() { lingered <- c.Linger(d) }()
	waitUntil(t, "it lingers", func() bool { return c.has(lingering) || c.ref.closed() })
	return lingered
}

func TestLingerWaitsForTheQueueAndThePeer(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for _, endsFirst := range []bool{false, true} {
			c, peer := attached(t, network)
			sent := fill(t, c)
			lingered := linger(t, c, time.Minute)
			if endsFirst { // its direction of the stream; what is queued must still be sent
				peer.(interface{ CloseWrite() error }).CloseWrite()
				waitUntil(t, "the end is seen", func() bool { return c.has(peerClosed) })
			}
			select {
			case err := <-lingered:
				t.Fatalf("it returned at once: %v", err)
			case <-time.After(5 * time.Millisecond):
			}
			io.WriteString(peer, "is discarded")
			readAll(t, peer, sent)
			peer.Close()
			if err := <-lingered; err != nil {
				t.Errorf("%s, the peer ends first %v: %v", network, endsFirst, err)
			}
			c.Close()
			waitUntil(t, "the descriptor is closed", c.isFree) // by the loop, which woke Linger before that
		}
	}
}

func TestLingerEndsWhenItsTimeIsOver(t *testing.T) {
	tests := []struct {
		name string
		peer func(c *Conn, peer net.Conn)
	}{
		{"on a peer that is silent", func(*Conn, net.Conn) {}},
		{"on a peer that floods", func(_ *Conn, peer net.Conn) {
			for {
				if _, err := peer.Write(make([]byte, 10000)); err != nil {
					return
				}
			}
		}},
		{"on a peer that doesn't take what is queued", func(c *Conn, peer net.Conn) { peer.(*net.TCPConn).CloseWrite() }},
		{"when a write deadline passes before", func(c *Conn, _ net.Conn) { c.SetWriteDeadline(time.Now()) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, peer := attached(t, "tcp")
			fill(t, c)
			lingered := linger(t, c, 50*time.Millisecond)
			test.peer(c, peer)
			if err := <-lingered; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			waitUntil(t, "the descriptor is closed", c.isFree)
		})
	}
}

func TestLingerWithoutEndWaitsForThePeer(t *testing.T) {
	c, peer := attached(t, "tcp")
	lingered := linger(t, c, math.MaxInt64)
	select {
	case err := <-lingered:
		t.Fatalf("it returned %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	peer.Close()
	if err := <-lingered; err != nil {
		t.Error(err)
	}
}

func TestLingerEndsWhenThePeerResets(t *testing.T) {
	c, peer := attached(t, "tcp")
	fill(t, c)
	lingered := linger(t, c, time.Minute)
	reset(peer)
	if err := <-lingered; err != nil {
		t.Error(err)
	}
}

func TestLingerEndsWithClose(t *testing.T) {
	c, _ := attached(t, "tcp")
	fill(t, c)
	lingered := linger(t, c, time.Minute)
	if err := c.Linger(time.Minute); err != nil {
		t.Errorf("another Linger: %v", err)
	}
	c.Close()
	if err := <-lingered; err != nil {
		t.Error(err)
	}
	if err := c.Linger(time.Minute); err != nil {
		t.Errorf("Linger after Close: %v", err)
	}
}

func TestLingerEndsAReceiveUnderWay(t *testing.T) {
	c, peer := attached(t, "tcp")
	received := make(chan error, 1)
	go func() {
		_, err := c.View()
		received <- err
	}()
	waitUntil(t, "it waits", c.isAwaited)
	lingered := linger(t, c, time.Minute)
	if err := <-received; !errors.Is(err, net.ErrClosed) {
		t.Errorf("View: %v", err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %d, %v", n, err)
	}
	if err := c.SetReadDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetReadDeadline: %v", err)
	}
	peer.Close()
	<-lingered
}

// The loop discards what arrives from the beginning of Linger, which a receive may not have noticed yet.
func TestAReceiveThatLingerEndsReturnsNothingBehindAGap(t *testing.T) {
	sent := make([]byte, 1<<20)
	for i := range sent {
		sent[i] = byte(i % 251)
	}
	for range 100 {
		c, peer := attached(t, "tcp")
		go func() {
			peer.Write(sent)
			peer.Close()
		}()
		received := make(chan []byte, 1)
		go func() {
			var got []byte
			for {
				view, err := c.View()
				if err != nil {
					received <- got
					return
				}
				got = append(got, view...)
				c.Consume(len(view))
			}
		}()
		waitUntil(t, "it receives", func() bool { return c.has(pulled) })
		if err := c.Linger(time.Minute); err != nil {
			t.Error(err)
		}
		if got := <-received; !bytes.HasPrefix(sent, got) {
			t.Fatalf("the %d bytes that were received aren't the first of those that were sent", len(got))
		}
	}
}

func TestPushWhileLingeringEndsTheReceiver(t *testing.T) {
	for name, end := range map[string]func(c *Conn, peer net.Conn){
		"by the peer": func(_ *Conn, peer net.Conn) { peer.Close() },
		"by Close":    func(c *Conn, _ net.Conn) { c.Close() },
		"by the deadline": func(c *Conn, _ net.Conn) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.readDeadline = timing.Now()
			c.scheduleDeadlineLocked()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, peer := attached(t, "tcp")
			lingered := linger(t, c, time.Minute)
			s := push(t, c)
			end(c, peer)
			<-lingered
			if err := s.end(t); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the receiver got %v", err)
			}
		})
	}
}

func TestLingerInFinishReturnsAtOnce(t *testing.T) {
	for _, endsFirst := range []bool{false, true} {
		c, peer := attached(t, "tcp")
		sent := fill(t, c)
		s := &sink{c: c}
		s.finish = func() {
			if err := c.Linger(time.Minute); err != nil { // returns at once
				t.Error(err)
			}
		}
		if err := c.Push(s); err != nil {
			t.Fatal(err)
		}
		if endsFirst {
			peer.(*net.TCPConn).CloseWrite()
		} else {
			c.SetReadDeadline(time.Now())
		}
		waitUntil(t, "it lingers", func() bool { return c.has(lingering) })
		readAll(t, peer, sent)
		peer.Close()
		want := os.ErrDeadlineExceeded
		if endsFirst {
			want = io.EOF
		}
		if err := s.end(t); !errors.Is(err, want) {
			t.Errorf("the receiver got %v, want %v", err, want)
		}
	}
}

func TestCloseWriteEndsTheStreamAfterTheQueue(t *testing.T) {
	for mode, enter := range modes {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(mode+"/"+network, func(t *testing.T) {
				c, peer := attached(t, network)
				enter(t, c)
				sent := fill(t, c)
				if err := c.CloseWrite(); err != nil {
					t.Error(err)
				}
				got, err := io.ReadAll(peer)
				if string(got) != string(sent) || err != nil {
					t.Errorf("%d bytes of %d arrived, then %v", len(got), len(sent), err)
				}
				if err := c.Writev([]byte("more")); err == nil {
					t.Error("a write doesn't fail")
				}
			})
		}
	}
	c, peer := attached(t, "tcp")
	if err := c.CloseWrite(); err != nil { // with nothing queued
		t.Error(err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer reads %v", err)
	}
	c.Close()
	if err := c.CloseWrite(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCloseFromManyGoroutines(t *testing.T) {
	for mode, enter := range modes {
		t.Run(mode, func(t *testing.T) {
			for range 20 {
				c, _ := attached(t, "tcp")
				enter(t, c)
				fill(t, c)
				var closers sync.WaitGroup
				for range 4 {
					closers.Go(func() {
						if err := c.Close(); err != nil {
							t.Error(err)
						}
					})
				}
				closers.Wait()
				waitUntil(t, "the descriptor is closed", c.isFree)
			}
		})
	}
}

func TestCloseInReadable(t *testing.T) {
	c, peer := attached(t, "tcp")
	s := &sink{c: c}
	s.begun = func() {
		c.Close()
		c.Close()
	}
	if err := c.Push(s); err != nil {
		t.Fatal(err)
	}
	if err := s.end(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the receiver got %v", err)
	}
	if n, err := peer.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("the peer reads %d, %v", n, err)
	}
}

func TestReceiverMayCloseOthersOnItsLoop(t *testing.T) {
	loops := Loops(1)
	neighbour, busy := attachedTo(t, loops, "tcp")
	n := push(t, neighbour)
	c, peer := attachedTo(t, loops, "tcp")
	s := &sink{c: c}
	s.begun = func() { neighbour.Close() }
	io.WriteString(busy, "for one of the same turn")
	if err := c.Push(s); err != nil {
		t.Fatal(err)
	}
	if err := n.end(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the neighbour's receiver got %v", err)
	}
	io.WriteString(peer, "Hello")
	waitUntil(t, "its own bytes arrive", func() bool { return s.got() == "Hello" })
}

func TestCallsAfterCloseReturnErrClosed(t *testing.T) {
	calls := map[string]func(c *Conn) error{
		"View":             func(c *Conn) error { _, err := c.View(); return err },
		"Read":             func(c *Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"Writev":           func(c *Conn) error { return c.Writev([]byte("x")) },
		"Flush":            flush,
		"Drain":            func(c *Conn) error { return c.Drain(context.Background(), 0) },
		"CloseWrite":       (*Conn).CloseWrite,
		"SetReadDeadline":  func(c *Conn) error { return c.SetReadDeadline(time.Time{}) },
		"SetWriteDeadline": func(c *Conn) error { return c.SetWriteDeadline(time.Time{}) },
		"Push":             func(c *Conn) error { return c.Push(&sink{c: c}) },
	}
	for name, call := range calls {
		c, _ := attached(t, "tcp")
		c.Close()
		if err := call(c); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
		c.Pause()
		c.Resume()
		if !c.isFree() || c.Queued() != 0 {
			t.Errorf("%s: the descriptor is still open, or %d bytes", name, c.Queued())
		}
	}
}

func TestCloseDuringAllOtherCalls(t *testing.T) {
	for range 50 {
		c, peer := attached(t, "tcp")
		s := push(t, c)
		var users sync.WaitGroup
		for _, use := range []func() error{
			func() error { return c.Writev(make([]byte, 1000)) },
			func() error { return c.Drain(context.Background(), 1000) },
			func() error { return c.SetReadDeadline(time.Now().Add(time.Hour)) },
			func() error { return c.SetWriteDeadline(time.Now().Add(time.Hour)) },
			func() error { c.Pause(); c.Resume(); c.LocalAddr(); return flush(c) },
		} {
			users.Go(func() {
				for use() == nil {
				}
			})
		}
		io.WriteString(peer, "Hello")
		io.CopyN(io.Discard, peer, 10000)
		c.Close()
		users.Wait()
		if err := s.end(t); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the receiver got %v", err)
		}
	}
}

func TestCloseWhileAHandlerIsSet(t *testing.T) {
	for range 100 {
		transport, peer := attached(t, "tcp")
		go func() {
			peer.Read(make([]byte, 1)) // of the close frame
			peer.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, peer)
			peer.Close()
		}()
		c := websock.NewConn(transport, websock.Client, websock.Options{Limits: websock.Limits{CloseTimeout: time.Minute}})
		closed, told := make(chan error, 1), make(chan error, 2)
		go func() { closed <- c.Close() }()
		err := c.SetHandler(websock.Messages(nil, func(_ *websock.Conn, err error) { told <- err }))
		if err == nil {
			err = <-told
		}
		if !errors.Is(err, net.ErrClosed) {
			t.Fatalf("%v", err)
		}
		<-closed
		waitUntil(t, "the descriptor is closed", transport.isFree)
	}
}

func TestDeadlineAfterLingerChangesNothing(t *testing.T) {
	c, peer := attached(t, "tcp")
	lingered := make(chan error, 1)
	go func() { lingered <- c.Linger(time.Hour) }()
	waitUntil(t, "it lingers", func() bool { return c.has(lingering) })
	peer.Close()
	if err := <-lingered; err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.readDeadline = timing.Now()
	c.mu.Unlock()
	c.checkDeadlines()
	if c.out.lingerErr != nil {
		t.Errorf("it ends with %v", c.out.lingerErr)
	}
}

func TestCloseShutsTheSocketDownDuringAReceiverCall(t *testing.T) {
	c, peer := attached(t, "tcp")
	begun, returns := make(chan struct{}, 10), make(chan struct{})
	s := &sink{c: c, begun: func() { begun <- struct{}{}; <-returns }}
	if err := c.Push(s); err != nil {
		t.Fatal(err)
	}
	<-begun
	c.Close()
	peer.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer reads %v, want the end", err)
	}
	close(returns)
	waitUntil(t, "the descriptor is closed", c.isFree)
}
