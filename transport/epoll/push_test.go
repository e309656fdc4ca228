//go:build linux

package epoll

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPushDeliversAllBeforeTheEnd(t *testing.T) {
	const sent = 200000 // more than a read takes
	ends := map[string]func(peer net.Conn){
		"closed":      func(peer net.Conn) { peer.Close() },
		"half closed": func(peer net.Conn) { peer.(interface{ CloseWrite() error }).CloseWrite() },
	}
	for name, end := range ends {
		for _, network := range []string{"tcp", "unix"} {
			for _, late := range []bool{false, true} { // Push is called after the first bytes have arrived
				t.Run(name+"/"+network, func(t *testing.T) {
					c, peer := attached(t, network)
					payload := numbered(1, sent)
					said := make(chan struct{})
					go func() {
						peer.Write(payload)
						end(peer)
						close(said)
					}()
					if late {
						time.Sleep(time.Millisecond)
					}
					s := push(t, c)
					if err := s.end(t); err != io.EOF || s.got() != string(payload) {
						t.Errorf("%d bytes of %d, then %v", len(s.got()), sent, err)
					}
					<-said
				})
			}
		}
	}
}

func TestPushReportsAReset(t *testing.T) {
	c, peer := attached(t, "tcp")
	s := push(t, c)
	reset(peer)
	if err := s.end(t); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
}

func TestPushDeliversWhatHasArrivedBefore(t *testing.T) {
	for _, pulled := range []bool{false, true} { // a part was read before Push
		client, peer := sockets(t, "tcp")
		transport, err := Loops(1).Attach(client, []byte("early "))
		if err != nil {
			t.Fatal(err)
		}
		c := transport.(*Conn)
		defer c.Close()
		want := "early late"
		if pulled {
			c.View()
			c.Consume(len("early "))
			io.WriteString(peer, "taken ")
			waitUntil(t, "the bytes arrive", func() bool { view, _ := c.View(); return string(view) == "taken " })
			c.Consume(2)
			want = "ken late"
		}
		io.WriteString(peer, "late")
		s := push(t, c)
		waitUntil(t, "all bytes arrive", func() bool { return s.got() == want })
	}
}

func TestPauseHidesTheEndUntilResume(t *testing.T) {
	ends := map[string]struct {
		end  func(peer net.Conn)
		gets string
		want error
	}{
		"closed": {func(peer net.Conn) { io.WriteString(peer, "last"); peer.Close() }, "last", io.EOF},
		"reset":  {reset, "", syscall.ECONNRESET},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			c, peer := attached(t, "tcp")
			s := push(t, c)
			waitUntil(t, "it is pushed", func() bool { return c.armedFor() == readable })
			c.Pause()
			end.end(peer)
			waitUntil(t, "the loop asks for nothing more", func() bool { return c.armedFor() == noEvents })
			if got := s.got(); got != "" || c.isFree() {
				t.Errorf("%q arrived, closed %v, during a pause", got, c.isFree())
			}
			c.Resume()
			if err := s.end(t); !errors.Is(err, end.want) || s.got() != end.gets {
				t.Errorf("%q, %v; want %q, %v", s.got(), err, end.gets, end.want)
			}
		})
	}
}

func TestDeadlineAndCloseEndAPause(t *testing.T) {
	ends := map[string]struct {
		end  func(c *Conn)
		want error
	}{
		"at the deadline": {func(c *Conn) { c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		"with Close":      {func(c *Conn) { c.Close() }, net.ErrClosed},
	}
	for name, end := range ends {
		for _, gone := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c, peer := attached(t, "tcp")
				s := push(t, c)
				c.Pause()
				io.WriteString(peer, "comes too late")
				if gone {
					peer.Close()
				}
				end.end(c)
				if err := s.end(t); !errors.Is(err, end.want) || s.got() != "" {
					t.Errorf("%q, %v; want %v", s.got(), err, end.want)
				}
			})
		}
	}
}

func TestBytesThatAReceiverLeavesAreKept(t *testing.T) {
	loops := Loops(1)
	neighbour, busy := attachedTo(t, loops, "tcp")
	other := push(t, neighbour)
	c, peer := attachedTo(t, loops, "tcp")
	n := &nibbler{&sink{c: c}, make(chan byte, 1)}
	if err := c.Push(n); err != nil {
		t.Fatal(err)
	}
	const want = "slowly taken, and then more"
	noise := strings.Repeat("#", 50)
	io.WriteString(peer, want[:12])
	for i := range want {
		if i == 5 {
			io.WriteString(peer, want[12:])
		}
		if got := <-n.took; got != want[i] {
			t.Fatalf("%q at %d, want %q", got, i, want[i])
		}
		was := len(other.got())
		io.WriteString(busy, noise) // into the memory that the loop shares
		waitUntil(t, "the neighbour's bytes arrive", func() bool { return len(other.got()) == was+len(noise) })
		c.Resume()
	}
	peer.Close()
	if err := n.end(t); err != io.EOF {
		t.Errorf("%v", err)
	}
}

func TestBytesThatComeBeforeAResumeIsAnsweredComeBehindThoseThatWereKept(t *testing.T) {
	c, peer := attached(t, "tcp")
	n := &nibbler{&sink{c: c}, make(chan byte)}
	if err := c.Push(n); err != nil {
		t.Fatal(err)
	}
	io.WriteString(peer, "abc")
	waitUntil(t, "the loop is in Readable", func() bool { return c.has(paused) })
	c.Resume() // the next turn has an event, too
	io.WriteString(peer, "def")
	for _, want := range "abcdef" {
		if got := <-n.took; rune(got) != want {
			t.Fatalf("%q, want %q", got, want)
		}
		c.Resume()
	}
}

func TestWhatWasKeptIsDroppedAtTheEnd(t *testing.T) {
	c, peer := attached(t, "tcp")
	n := &nibbler{&sink{c: c}, make(chan byte, 1)}
	if err := c.Push(n); err != nil {
		t.Fatal(err)
	}
	io.WriteString(peer, "Hello")
	<-n.took
	c.Close()
	if err := n.end(t); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
	if c.in != nil {
		t.Error("it is still in memory")
	}
}

func TestResumeBeforePushDoesNothing(t *testing.T) {
	c, peer := attached(t, "tcp")
	c.Pause()
	c.Resume()
	time.Sleep(20 * time.Millisecond)
	s := push(t, c)
	io.WriteString(peer, "Hello")
	waitUntil(t, "bytes arrive", func() bool { return s.got() == "Hello" })
}

func TestAReadDeadlineThatMovesOnEndsNothing(t *testing.T) {
	c, peer := attached(t, "tcp")
	c.SetReadDeadline(time.Now().Add(time.Hour)) // before
	s := push(t, c)
	for range 10 {
		c.SetReadDeadline(time.Now().Add(time.Hour))
		haveDeadlinesChecked(t, c)
	}
	c.SetReadDeadline(time.Time{})
	io.WriteString(peer, "Hello")
	waitUntil(t, "bytes arrive", func() bool { return s.got() == "Hello" })
	haveDeadlinesChecked(t, c)
	io.WriteString(peer, "!")
	waitUntil(t, "bytes arrive", func() bool { return s.got() == "Hello!" })
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // it is checked before, and again
	if err := s.end(t); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A descriptor may be closed while its events wait to be handled, and its number be given to a new
// connection, which must not get these events.
func TestEventsOfAnOldConnectionDoNotReachANewOne(t *testing.T) {
	loops := Loops(1)
	for _, hangUp := range []bool{false, true} {
		busy, rouse := attachedTo(t, loops, "tcp")
		first, firstPeer := attachedTo(t, loops, "tcp")
		old, oldPeer := attachedTo(t, loops, "tcp")
		client, peer := sockets(t, "tcp")
		go old.View() // so that Close closes its descriptor at once
		waitUntil(t, "it waits", old.isAwaited)

		var next *Conn
		var told *sink
		opened := make(chan struct{})
		s := &sink{c: first}
		s.begun = func() {
			if len(s.received) > 0 || next != nil {
				return
			}
			if view, _ := first.View(); len(view) == 0 {
				return
			}
			old.Close()
			for !old.isFree() {
				time.Sleep(time.Millisecond)
			}
			transport, err := loops.Attach(client, nil)
			if err != nil {
				t.Error(err)
				return
			}
			next = transport.(*Conn)
			told = &sink{c: next}
			next.Push(told)
			close(opened)
		}
		if err := first.Push(s); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "it is pushed", func() bool { return first.armedFor() == readable })

		hold, held := make(chan struct{}), make(chan struct{})
		h := &sink{c: busy}
		h.begun = func() {
			if view, _ := busy.View(); len(view) > 0 {
				close(held)
				<-hold
			}
		}
		busy.Push(h)
		io.WriteString(rouse, "x")
		<-held
		io.WriteString(firstPeer, "x") // in one turn of the loop, in this order
		io.WriteString(oldPeer, "not for you")
		if hangUp {
			oldPeer.Close()
		}
		close(hold)
		<-opened
		defer next.Close()
		if next.fd != old.fd {
			t.Logf("the new connection has descriptor %d, not %d", next.fd, old.fd)
		}
		io.WriteString(peer, "for you")
		waitUntil(t, "its own bytes arrive", func() bool { return told.got() != "" })
		if got := told.got(); got != "for you" || next.isFree() {
			t.Errorf("%q arrived; ended %v", got, next.isFree())
		}
	}
}
