package transporttest

import (
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A transport may deliver the first bytes from another place than later ones.
func (s Suite) testAbortInsideACallbackReturns(t *testing.T) {
	for _, callback := range []string{"OnData", "OnPong", "OnClose"} {
		for _, late := range []bool{false, true} {
			s.eachNetwork(t, func(t *testing.T, network string) {
				client, server := s.sockets(t, network)
				c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
				h := newScript()
				here, aborted := make(chan bool, 1), make(chan bool, 1)
				abort := func(c *websock.Conn) {
					c.Abort(errCause)
					aborted <- true
				}
				h.data = func(c *websock.Conn, payload string) {
					if payload == "first" {
						here <- true
					} else {
						abort(c)
					}
				}
				h.pong, h.close = abort, abort
				if callback != "OnClose" {
					h.close = nil
				}
				go io.Copy(io.Discard, server)
				if late {
					setHandler(t, c, h)
					io.WriteString(server, "\x81\x05first")
					wait(t, "the first message", here)
				}
				end := map[string]string{"OnData": "\x81\x03abc", "OnPong": "\x8a\x00", "OnClose": "\x88\x02\x03\xe8"}[callback]
				if !late {
					go io.WriteString(server, end)
					setHandler(t, c, h)
				} else {
					io.WriteString(server, end)
				}
				wait(t, "Abort inside "+callback, aborted)
				if err := wait(t, "OnClose", h.closed); callback != "OnClose" {
					wantAborted(t, err)
				}
			})
		}
	}
}

func (s Suite) testAbortDoesNotWaitForAHandler(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.sockets(t, network)
		c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
		h := newScript()
		stuck, release := make(chan bool, 1), make(chan bool)
		defer close(release)
		h.data = func(_ *websock.Conn, payload string) {
			stuck <- true
			if payload != "first" {
				<-release
			}
		}
		setHandler(t, c, h)
		for _, message := range []string{"\x81\x05first", "\x81\x05stuck"} {
			io.WriteString(server, message)
			wait(t, "a message", stuck)
		}
		returns(t, "Abort", func() { c.Abort(errCause) })
		returns(t, "a second Abort", func() { c.Abort(nil) })
		returns(t, "Close", func() { c.Close() })
		returns(t, "the end of the stream, for the peer", func() { io.Copy(io.Discard, server) })
		select {
		case err := <-h.closed:
			t.Errorf("OnClose came during OnData: %v", err)
		default:
		}
		release <- true
		wantAborted(t, wait(t, "OnClose", h.closed))
	})
}

// The peer does not read, all buffers are full, and a write is blocked. Over TLS, that write holds the
// lock that sending an alert needs.
func (s Suite) testAbortDoesNotWaitForThePeer(t *testing.T) {
	for _, sender := range []string{"a goroutine", "a goroutine beside a Handler", "the Handler"} {
		needs := pusher
		if sender == "a goroutine" {
			needs = 0
		}
		s.eachNetwork(t, func(t *testing.T, network string) {
			s.require(t, needs)
			client, peer := s.sockets(t, network)
			if tcp, ok := socketOf(client).(*net.TCPConn); ok {
				tcp.SetLinger(int(3 * patience / time.Second)) // which makes closing the descriptor wait
			}
			c := s.conn(t, client, websock.Server, websock.Limits{WhenFull: websock.QueueWaits})
			h := newScript()
			begun, blocked := make(chan bool), make(chan error, 1)
			send := func() {
				close(begun)
				for {
					if err := c.SendBinary(make([]byte, 1<<20)); err != nil {
						blocked <- err
						return
					}
				}
			}
			h.data = func(*websock.Conn, string) { send() }
			if sender != "a goroutine" {
				setHandler(t, c, h)
			}
			if sender != "the Handler" {
				go send()
			} else {
				io.WriteString(peer, "\x81\x81\x00\x00\x00\x00a")
			}
			wait(t, "sending", begun)
			time.Sleep(20 * time.Millisecond)
			start := time.Now()
			returns(t, "Abort, of a socket with SO_LINGER if it is TCP,", func() { c.Abort(errCause) })
			t.Logf("%s sends: Abort took %v", sender, time.Since(start))
			wantAborted(t, wait(t, "the blocked send", blocked))
			if sender != "a goroutine" {
				wantAborted(t, wait(t, "OnClose", h.closed))
			}
		})
	}
}

func (s Suite) testAbortingManyStartsNoGoroutines(t *testing.T) {
	if s.Goroutines {
		t.Skip("goroutines are expected")
	}
	const conns = 200
	var all []*websock.Conn
	closed := make(chan error, conns)
	for range conns {
		client, server := s.sockets(t, "tcp")
		c := s.conn(t, client, websock.Client, websock.Limits{})
		setHandler(t, c, websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, func(_ *websock.Conn, err error) { closed <- err }))
		all = append(all, c)
		io.WriteString(server, "\x81\x01a")
	}
	before := runtime.NumGoroutine()
	most := 0
	for _, c := range all {
		c.Abort(errCause)
		most = max(most, runtime.NumGoroutine())
	}
	for range conns {
		wantAborted(t, wait(t, "OnClose", closed))
		most = max(most, runtime.NumGoroutine())
	}
	if more := most - before; more > conns/10 {
		t.Errorf("%d goroutines more while %d connections were aborted", more, conns)
	}
}

func (s Suite) testHandlersCanAbortEachOther(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		var conns [2]*websock.Conn
		var handlers [2]*script
		var peers [2]io.Writer
		var inside atomic.Int32
		both := make(chan bool)
		aborted := make(chan bool, len(conns))
		for i := range conns {
			client, server := s.sockets(t, network)
			conns[i] = s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
			peers[i], handlers[i] = server, newScript()
			go io.Copy(io.Discard, server)
		}
		here := make(chan bool, len(conns))
		for i, h := range handlers {
			h.data = func(_ *websock.Conn, payload string) {
				if payload == "first" {
					here <- true
					return
				}
				if inside.Add(1) == int32(len(conns)) {
					close(both)
				}
				select {
				case <-both:
				case <-time.After(100 * time.Millisecond): // one event loop for both
				}
				conns[1-i].Abort(errCause)
				aborted <- true
			}
			setHandler(t, conns[i], h)
		}
		for i := range conns {
			io.WriteString(peers[i], "\x81\x05first")
			wait(t, "the first message", here)
		}
		for _, peer := range peers {
			go io.WriteString(peer, "\x81\x06second")
		}
		wait(t, "an Abort", aborted)
		for i, h := range handlers {
			conns[i].Abort(errCause) // on one event loop the first call ends the other connection
			wantAborted(t, wait(t, "OnClose", h.closed))
		}
	})
}

func (s Suite) testNoDataComesAfterAbort(t *testing.T) {
	views := map[string]string{
		"whole messages": strings.Repeat("\x81\x01a", 50),
		"fragments":      "\x01\x01a" + strings.Repeat("\x00\x01a", 50),
		"behind a pong":  "\x8a\x00" + strings.Repeat("\x81\x01a", 50),
	}
	for name, view := range views {
		for _, early := range []bool{false, true} {
			s.eachNetwork(t, func(t *testing.T, network string) {
				client, server := s.sockets(t, network)
				h := newScript()
				var calls atomic.Int32
				h.data = func(c *websock.Conn, _ string) {
					if calls.Add(1) == 1 {
						c.Abort(errCause)
					}
				}
				var first []byte
				want := int32(1)
				if early {
					first = []byte(view)
				}
				if name == "behind a pong" {
					want = 0
					h.pong = func(c *websock.Conn) { c.Abort(errCause) }
				}
				c := websock.NewConn(s.attach(t, client, first), websock.Client, websock.Options{})
				setHandler(t, c, h)
				go io.Copy(io.Discard, server)
				if !early {
					go io.WriteString(server, view)
				}
				wantAborted(t, wait(t, "OnClose", h.closed))
				if n := calls.Load(); n != want {
					t.Errorf("%s: %d calls of OnData, want %d", name, n, want)
				}
			})
		}
	}
}

// descriptors returns the number of descriptors that the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the directory is there under Wine, but lists Wine's own descriptors")
	}
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system doesn't tell:", err)
	}
	return len(all)
}

func (s Suite) testEveryEndFreesTheDescriptor(t *testing.T) {
	inside := func(end func(c *websock.Conn)) *script {
		h := newScript()
		h.data = func(c *websock.Conn, payload string) {
			if payload == "second" {
				end(c)
			}
		}
		return h
	}
	nothing := func(*websock.Conn) {}
	ends := map[string]struct {
		handler *script
		end     func(c *websock.Conn, peer net.Conn)
	}{
		"Abort":           {inside(nothing), func(c *websock.Conn, _ net.Conn) { c.Abort(nil) }},
		"Abort in OnData": {inside(func(c *websock.Conn) { c.Abort(nil) }), nil},
		"Abort in a pause": {inside((*websock.Conn).Pause), func(c *websock.Conn, _ net.Conn) {
			c.Abort(nil)
		}},
		"Close":             {inside(nothing), func(c *websock.Conn, _ net.Conn) { c.Close() }},
		"Close in OnData":   {inside(func(c *websock.Conn) { c.Close() }), nil},
		"Goexit in OnData":  {inside(func(*websock.Conn) { runtime.Goexit() }), nil},
		"Abort, and Goexit": {inside(func(c *websock.Conn) { c.Abort(nil); runtime.Goexit() }), nil},
		"the peer's end":    {inside(nothing), func(_ *websock.Conn, peer net.Conn) { peer.Close() }},
		"the peer's reset":  {inside(nothing), func(_ *websock.Conn, peer net.Conn) { reset(peer) }},
		"the deadline":      {inside(nothing), func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Now()) }},
	}
	run := func(t *testing.T, h *script, end func(c *websock.Conn, peer net.Conn)) {
		client, peer := s.sockets(t, "tcp")
		defer socketOf(peer).Close()
		c := websock.NewConn(s.attach(t, client, nil), websock.Client, websock.Options{
			Limits: websock.Limits{CloseTimeout: 20 * time.Millisecond},
		})
		setHandler(t, c, h)
		go io.Copy(io.Discard, peer)
		io.WriteString(peer, "\x81\x05first")
		time.Sleep(time.Millisecond)
		io.WriteString(peer, "\x81\x06second")
		time.Sleep(time.Millisecond)
		if end != nil {
			end(c, peer)
		}
		wait(t, "OnClose", h.closed)
	}
	for name, test := range ends {
		run(t, test.handler, test.end) // what the transport opens once
		before := descriptors(t)
		for range 5 {
			run(t, test.handler, test.end)
		}
		for start := time.Now(); descriptors(t) > before; time.Sleep(time.Millisecond) {
			if time.Since(start) > patience {
				t.Errorf("%s: %d descriptors, %d before", name, descriptors(t), before)
				break
			}
		}
	}
}
