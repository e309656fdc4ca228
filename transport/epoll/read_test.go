//go:build linux

package epoll

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestViewReturnsAllBeforeTheEnd(t *testing.T) {
	const sent = 40000 // more than a read takes
	ends := map[string]struct {
		end  func(peer net.Conn)
		want error
	}{
		"closed":      {func(peer net.Conn) { peer.Close() }, io.EOF},
		"half closed": {func(peer net.Conn) { peer.(*net.TCPConn).CloseWrite() }, io.EOF},
		"reset":       {func(peer net.Conn) { reset(peer) }, syscall.ECONNRESET},
	}
	for name, end := range ends {
		for _, waits := range []bool{false, true} { // View is called before the first bytes arrive
			t.Run(name, func(t *testing.T) {
				c, peer := attached(t, "tcp")
				payload := numbered(1, sent)
				said := make(chan struct{})
				say := func() {
					defer close(said)
					peer.Write(payload)
					if end.want == io.EOF {
						end.end(peer)
					}
				}
				if waits {
					go func() {
						for !c.isAwaited() {
							time.Sleep(time.Millisecond)
						}
						say()
					}()
				} else {
					say()
				}
				for took := 0; took < sent; {
					view, err := c.View()
					if err != nil || !bytes.HasPrefix(payload[took:], view) {
						t.Fatalf("%d bytes after %d, %v", len(view), took, err)
					}
					took += len(view)
					c.Consume(len(view))
				}
				<-said
				if end.want != io.EOF {
					end.end(peer)
				}
				if view, err := c.View(); len(view) > 0 || !errors.Is(err, end.want) {
					t.Errorf("%d bytes, %v; want %v", len(view), err, end.want)
				}
				if name == "half closed" {
					if err := c.Writev([]byte("answer")); err != nil {
						t.Error(err)
					}
					readAll(t, peer, []byte("answer"))
				}
			})
		}
	}
}

func TestReadTakesFromTheViewFirst(t *testing.T) {
	c, peer := attached(t, "unix")
	io.WriteString(peer, "Hello")
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("into nothing: %d, %v", n, err)
	}
	if view, err := c.View(); string(view) != "Hello" || err != nil {
		t.Fatalf("%q, %v", view, err)
	}
	p := make([]byte, 3)
	for _, want := range []string{"Hel", "lo"} {
		if n, err := c.Read(p); string(p[:n]) != want || err != nil {
			t.Errorf("%q, %v; want %q", p[:n], err, want)
		}
	}
	if c.in.buffer != nil || c.in.view != nil {
		t.Error("the buffer is held")
	}
	io.WriteString(peer, "again")
	for _, want := range []string{"aga", "in"} {
		if n, err := c.Read(p); string(p[:n]) != want || err != nil {
			t.Errorf("%q, %v; want %q", p[:n], err, want)
		}
	}
}

func TestReadDeadlineOfAViewUnderWay(t *testing.T) {
	c, peer := attached(t, "tcp")
	receive := func() <-chan error {
		received := make(chan error, 1)
		go func() {
			view, err := c.View()
			c.Consume(len(view))
			received <- err
		}()
		return received
	}
	waits := func(received <-chan error) {
		t.Helper()
		select {
		case err := <-received:
			t.Fatalf("returned %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	c.SetReadDeadline(time.Now().Add(time.Hour))
	received := receive()
	waits(received)
	c.SetReadDeadline(time.Now()) // sooner
	if err := <-received; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if err := <-receive(); !errors.Is(err, os.ErrDeadlineExceeded) { // still
		t.Errorf("%v", err)
	}
	for soon := 50 * time.Millisecond; ; soon *= 2 {
		deadline := time.Now().Add(soon)
		c.SetReadDeadline(deadline)
		received = receive()
		c.SetReadDeadline(time.Time{}) // never
		if time.Now().Before(deadline) {
			time.Sleep(time.Until(deadline))
			break
		}
		c.SetReadDeadline(time.Now()) // it may have passed before it was removed
		<-received
	}
	waits(received)
	io.WriteString(peer, "x")
	if err := <-received; err != nil {
		t.Errorf("%v", err)
	}
	for range 3 { // the timer is used again
		c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		if err := <-receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	io.WriteString(peer, "x")
	waitUntil(t, "what has arrived is returned after the deadline, too", func() bool { return <-receive() == nil })
}
