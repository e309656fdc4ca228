package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func (s Suite) testCloseFromAnotherGoroutineEndsAReceive(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{CloseTimeout: patience})
		served := make(chan error, 1)
		go func() { served <- echo(server) }()
		received := make(chan error, 1)
		go func() {
			_, _, err := client.RecvMessage(nil)
			received <- err
		}()
		time.Sleep(5 * time.Millisecond)
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		var closed *websock.CloseError
		if err := wait(t, "the receive", received); !errors.As(err, &closed) || !closed.Local {
			t.Errorf("the receive returned %v", err)
		}
		if err := wait(t, "the peer", served); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
			t.Errorf("the peer got %v", err)
		}
	})
}

func (s Suite) testBothSidesClosingAtOnce(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} { // a pipe has no buffer for what both send
		for range 20 {
			client, server := s.pair(t, network, websock.Limits{CloseTimeout: patience})
			var closers sync.WaitGroup
			for _, c := range []*websock.Conn{client, server} {
				closers.Go(func() {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			closers.Wait()
		}
	}
}

func (s Suite) testCloseDiscardsWhatThePeerKeepsSending(t *testing.T) {
	client, server := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 500 * time.Millisecond})
	flooding := make(chan struct{})
	go func() {
		defer close(flooding)
		for {
			if _, err := server.Write(bytes.Repeat([]byte("\x82\x01x"), 1000)); err != nil {
				return
			}
		}
	}()
	if _, _, err := c.RecvMessage(nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); !errors.Is(err, websock.ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
	wait(t, "the end of the flood", flooding)
}

func (s Suite) testCloseAbortsIfThePeerDoesNotRead(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 50 * time.Millisecond})
	blocked := make(chan error, 1)
	go func() { blocked <- c.SendBinary(make([]byte, 64<<20)) }()
	for c.Stats().Writes == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(); err == nil {
		t.Error("Close reports success")
	}
	if err := wait(t, "the blocked send", blocked); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the send that was under way: %v", err)
	}
}

// Close returns after Limits.CloseTimeout, also if deadlines are changed meanwhile.
func (s Suite) testNothingExtendsTheCloseTimeout(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for name, peer := range peers {
		s.eachRole(t, func(t *testing.T, role websock.Role) {
			for _, way := range []string{"pushed", "pulled"} {
				t.Run(name+", "+way, func(t *testing.T) {
					if way == "pushed" {
						s.require(t, pusher)
					}
					t.Parallel()
					near, far := s.sockets(t, "tcp")
					c := s.conn(t, near, role, websock.Limits{CloseTimeout: timeout, WhenFull: websock.QueueWaits})
					go peer(role, far)
					ended := make(chan error, 1)
					if way == "pushed" {
						setHandler(t, c, websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
							c.SetRecvDeadline(time.Now().Add(time.Hour))
						}, func(_ *websock.Conn, err error) { ended <- err }))
					}
					sent := make(chan error, 1)
					go func() {
						for {
							if err := c.SendBinary(make([]byte, 1<<20)); err != nil {
								sent <- err
								return
							}
						}
					}()
					time.Sleep(20 * time.Millisecond)
					over := make(chan struct{})
					defer close(over)
					go func() {
						for {
							select {
							case <-over:
								return
							case <-time.After(time.Millisecond):
								c.SetSendDeadline(time.Time{})
								c.SetRecvDeadline(time.Now().Add(time.Hour))
							}
						}
					}()
					begun := time.Now()
					closed := make(chan error, 1)
					go func() { closed <- c.Close() }()
					if err := wait(t, "Close", closed); err == nil && way == "pulled" {
						t.Error("Close reports success")
					}
					if way == "pushed" {
						if err := wait(t, "the end", ended); !errors.Is(err, websock.ErrClosed) {
							t.Errorf("OnClose got %v", err)
						}
					}
					wait(t, "the send", sent)
					if took := time.Since(begun); took > 2*timeout && way == "pulled" && testing.Verbose() {
						t.Logf("Close took %v, though CloseTimeout is %v", took, timeout)
					}
				})
			}
		})
	}
}

// The close timeout begins when the Handler returns that called Close, or during which it was called.
func (s Suite) testCloseInASlowHandlerLosesNothing(t *testing.T) {
	for role, closer := range map[websock.Role]string{websock.Client: "the Handler", websock.Server: "another goroutine"} {
		t.Run(role.String()+" closed by "+closer, func(t *testing.T) {
			s.mayRunInParallel(t)
			// A busy machine may need more time than a CloseTimeout for what was sent.
			for timeout := time.Second; !s.closesInASlowHandler(t, role, closer, timeout); timeout *= 2 {
				if timeout > patience/2 {
					t.Fatalf("what was sent takes longer than %v", timeout)
				}
			}
		})
	}
}

// closesInASlowHandler has closer call Close during a Handler that takes longer than the CloseTimeout. It
// returns false if the end came after twice that time, when a Handler that is slower still loses it all.
func (s Suite) closesInASlowHandler(t *testing.T, role websock.Role, closer string, timeout time.Duration) (inTime bool) {
	const size = 4 << 20
	near, far := s.sockets(t, "tcp")
	c := s.conn(t, near, role, websock.Limits{CloseTimeout: timeout, SendQueue: 2 * size})
	peer := s.conn(t, far, 1-role, websock.Limits{})
	ended := make(chan error, 1)
	setHandler(t, c, websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
		c.SendBinary(make([]byte, size))
		if closer == "the Handler" {
			c.CloseWith(4000, "bye")
		} else {
			done := make(chan struct{})
			go func() { c.CloseWith(4000, "bye"); close(done) }()
			<-done
		}
		time.Sleep(5 * timeout / 4)
	}, func(_ *websock.Conn, err error) { ended <- err }))
	begun := time.Now()
	peer.SendText([]byte("close it"))
	read := make(chan error, 1)
	go func() {
		_, msg, err := peer.RecvMessage(nil)
		if err != nil || len(msg) != size {
			read <- fmt.Errorf("%d bytes, %w", len(msg), err)
			return
		}
		_, _, err = peer.RecvMessage(nil)
		peer.Close()
		read <- err
	}()
	peerGot := waitWithin(t, 2*patience, "the peer", read)
	got := waitWithin(t, 2*patience, "the end", ended)
	var closed *websock.CloseError
	lost := !errors.As(peerGot, &closed) || closed.Code != 4000 || closed.Reason != "bye" ||
		!errors.As(got, &closed) || closed.Err != websock.ErrClosed
	if lost && time.Since(begun) >= 2*timeout {
		return false
	}
	if lost {
		t.Errorf("the peer got %v, OnClose %v", peerGot, got)
	}
	return true
}

// A blockedClose is a close during a Handler that blocks.
type blockedClose struct {
	name    string
	answers bool // the peer answers the close frame
	late    bool // the Handler returns when the connection is closed for good
}

// While a Handler blocks, the peer gets the close frame at once, and the end of the stream after
// Limits.CloseTimeout. OnClose reports the peer's answer if the Handler returns within the same time
// again.
func (s Suite) testABlockedHandlerDoesNotDelayTheCloseForThePeer(t *testing.T) {
	s.eachRole(t, func(t *testing.T, role websock.Role) {
		for _, test := range []blockedClose{
			{"the peer answers", true, false},
			{"the peer does not answer", false, true},
			{"the answer comes to a Handler that hangs too long", true, true},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				// A busy machine may need more time than a CloseTimeout to resume a Handler.
				for timeout := 300 * time.Millisecond; !s.closesWhileAHandlerBlocks(t, role, test, timeout); timeout *= 2 {
					if timeout > patience/4 {
						t.Fatalf("the Handler is not resumed within %v", timeout)
					}
				}
			})
		}
	})
}

// closesWhileAHandlerBlocks returns false if the Handler should have returned within the CloseTimeout, and
// that passed before OnClose was called.
func (s Suite) closesWhileAHandlerBlocks(t *testing.T, role websock.Role, test blockedClose, timeout time.Duration) (inTime bool) {
	near, far := s.sockets(t, "tcp")
	c := s.conn(t, near, role, websock.Limits{CloseTimeout: timeout})
	release, ended := blockHandler(t, c, far)
	begun := time.Now()
	if err := c.CloseWith(4000, ""); err != nil {
		t.Error(err)
	}
	read := make(chan byte, 1)
	go func() {
		buf := make([]byte, 100)
		for {
			n, err := far.Read(buf)
			if err != nil {
				close(read)
				return
			}
			if test.answers {
				far.Write(frameTo(role, websock.OpClose, "\x0f\xa0"))
			}
			if n > 0 {
				read <- buf[0]
			}
		}
	}()
	if first := wait(t, "the close frame", read); first != 0x88 {
		t.Errorf("the peer got %#x", first)
	}
	wait(t, "the end of the stream", read)
	for start := time.Now(); test.late; time.Sleep(time.Millisecond) {
		if _, err := far.Write([]byte{0}); err != nil { // nobody reads what comes after the close frame
			break
		}
		if time.Since(start) > patience {
			t.Error("the connection is not closed for good")
			break
		}
	}
	close(release)
	var closed *websock.CloseError
	err := wait(t, "OnClose", ended)
	writeTimedOut := errors.Is(err, os.ErrDeadlineExceeded) // of the close frame
	timedOut := writeTimedOut || errors.Is(err, websock.ErrTimeout)
	if timedOut && !test.late && (writeTimedOut || time.Since(begun) >= 2*timeout) {
		return false
	}
	if !errors.As(err, &closed) || closed.Code != 4000 || !errors.Is(err, websock.ErrClosed) || timedOut != test.late {
		t.Errorf("OnClose got %v", err)
	}
	return true
}

// ends are ways in which the connection c ends.
var ends = map[string]func(c, peer *websock.Conn){
	"Close":             func(c, _ *websock.Conn) { c.Close() },
	"Close twice":       func(c, _ *websock.Conn) { c.Close(); c.Close() },
	"Abort":             func(c, _ *websock.Conn) { c.Abort(nil) },
	"Abort, Close":      func(c, _ *websock.Conn) { c.Abort(nil); c.Close() },
	"Close of the peer": func(c, peer *websock.Conn) { go peer.Close(); c.Recv(nil) },
	"Abort of the peer": func(c, peer *websock.Conn) { peer.Abort(nil); c.Recv(nil) },
}

// sends returns all ways to send size bytes.
func sends(size int) map[string]func(c *websock.Conn) error {
	p := make([]byte, size)
	return map[string]func(c *websock.Conn) error{
		"SendBinary":  func(c *websock.Conn) error { return c.SendBinary(p) },
		"TrySend":     func(c *websock.Conn) error { return c.TrySend(websock.OpBinary, p) },
		"SendContext": func(c *websock.Conn) error { return c.SendContext(context.Background(), websock.OpBinary, p) },
		"SendPrepared": func(c *websock.Conn) error {
			message, err := websock.NewPreparedMessage(websock.OpBinary, p)
			return errors.Join(err, c.SendPrepared(message))
		},
		"Reserve": func(c *websock.Conn) error {
			sb, err := c.Reserve(size)
			if err != nil {
				return err
			}
			return sb.SendBinary(size)
		},
		"NextWriter": func(c *websock.Conn) error {
			w, err := c.NextWriter(websock.OpBinary)
			if err != nil {
				return err
			}
			_, err = w.Write(p)
			return errors.Join(err, w.Close())
		},
		"NetConn": func(c *websock.Conn) error { _, err := c.NetConn(websock.OpBinary).Write(p); return err },
		"Cork": func(c *websock.Conn) error {
			c.Cork()
			err := c.SendBinary(p)
			return errors.Join(err, c.Flush())
		},
	}
}

func (s Suite) testCallsAfterTheEndReturnACloseError(t *testing.T) {
	buf := make([]byte, 100)
	receives := map[string]func(c *websock.Conn) error{
		"Recv":        func(c *websock.Conn) error { _, _, err := c.Recv(buf); return err },
		"RecvTimeout": func(c *websock.Conn) error { _, _, err := c.RecvTimeout(buf, time.Minute); return err },
		"RecvMessage": func(c *websock.Conn) error { _, _, err := c.RecvMessage(buf[:0]); return err },
		"NextReader":  func(c *websock.Conn) error { _, _, err := c.NextReader(); return err },
	}
	if s.pushes {
		receives["SetHandler"] = func(c *websock.Conn) error { return c.SetHandler(newCollector().handler()) }
	}
	for end, finish := range ends {
		t.Run(end, func(t *testing.T) {
			client, server := s.pair(t, "tcp", websock.Limits{CloseTimeout: 50 * time.Millisecond})
			returnsWithin(t, 2*patience, "ending", func() { finish(client, server) })
			returnsWithin(t, 2*patience, "a call after the end", func() {
				for name, receive := range receives {
					var closed *websock.CloseError
					if err := receive(client); !errors.As(err, &closed) {
						t.Errorf("%s: %v", name, err)
					}
				}
				for start := time.Now(); client.SendPing(nil) == nil && time.Since(start) < patience; { // the system has to notice first
					time.Sleep(time.Millisecond)
				}
				for name, send := range sends(100) {
					var closed *websock.CloseError
					if err := send(client); !errors.As(err, &closed) {
						t.Errorf("%s: %v", name, err)
					}
				}
				for i := range 2 {
					if _, err := client.NetConn(websock.OpText).Read(buf); err == nil {
						t.Errorf("NetConn reads, %d", i)
					}
				}
				client.Pause()
				client.Resume()
				client.Stats()
				client.Drain(0)
				client.SetValue(1)
				client.LocalAddr()
				client.Close()
				client.Abort(io.EOF)
			})
		})
	}
}

func (s Suite) testBlockedSendersReturnAtTheEnd(t *testing.T) {
	for name, send := range sends(40 << 10) {
		for end, finish := range map[string]func(c *websock.Conn){
			"Close": func(c *websock.Conn) { c.Close() },
			"Abort": func(c *websock.Conn) { c.Abort(nil) },
		} {
			t.Run(fmt.Sprintf("%s/%s", name, end), func(t *testing.T) {
				t.Parallel()
				client, _ := s.pair(t, "tcp", websock.Limits{CloseTimeout: 50 * time.Millisecond})
				var sending sync.WaitGroup
				for range 3 {
					sending.Go(func() {
						for {
							err := send(client)
							var closed *websock.CloseError
							switch {
							case errors.As(err, &closed):
								return
							case errors.Is(err, websock.ErrSendQueueFull), errors.Is(err, websock.ErrFrameOrder):
								time.Sleep(time.Millisecond)
							case err != nil:
								t.Errorf("%v", err)
								return
							}
						}
					})
				}
				time.Sleep(50 * time.Millisecond) // until they wait
				returnsWithin(t, 2*patience, end, func() { finish(client) })
				returnsWithin(t, 2*patience, "a sender", sending.Wait)
			})
		}
	}
}
