package transporttest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// frameTo returns a frame as a peer of role sends it. A client's is masked with a key of zeros.
func frameTo(role websock.Role, op websock.Opcode, payload string) []byte {
	h := websock.Header{Fin: true, Opcode: op, Masked: role == websock.Server, Length: int64(len(payload))}
	return append(engine.AppendHeader(nil, h), payload...)
}

func (s Suite) eachRole(t *testing.T, f func(t *testing.T, role websock.Role)) {
	for _, role := range []websock.Role{websock.Client, websock.Server} {
		t.Run(role.String(), func(t *testing.T) {
			s.mayRunInParallel(t)
			f(t, role)
		})
	}
}

// A peer sends much, says why it ends the connection, and resets it. Who answers each message
// can't any more, but has to be told all of that.
func (s Suite) testWhatArrivedIsReceivedThoughSendingFailed(t *testing.T) {
	const messages = 2000
	for _, close := range []struct {
		code   websock.CloseCode
		reason string
	}{{1000, "done"}, {4401, "token expired"}} {
		s.eachRole(t, func(t *testing.T, role websock.Role) {
			var stream []byte
			for i := range messages {
				stream = append(stream, frameTo(role, websock.OpText, fmt.Sprint("message ", i))...)
			}
			stream = append(stream, frameTo(role, websock.OpClose, string(engine.AppendClose(nil, close.code, close.reason)))...)
			check := func(t *testing.T, c *websock.Conn, received int, err error) {
				t.Helper()
				var closed *websock.CloseError
				if received != messages || !errors.As(err, &closed) || closed.Local || closed.Code != close.code || closed.Reason != close.reason {
					t.Errorf("%d messages, then %v", received, err)
				}
				if err := c.Err(); !errors.As(err, &closed) || closed.Code != close.code {
					t.Errorf("Err: %v", err)
				}
				c.Close()
				if err := c.Err(); !errors.As(err, &closed) || closed.Code != close.code {
					t.Errorf("Err after Close: %v", err)
				}
			}
			t.Run("pushed", func(t *testing.T) {
				near, far := s.sockets(t, "tcp")
				c := s.conn(t, near, role, websock.Limits{})
				begun, gone := make(chan struct{}), make(chan struct{})
				ended := make(chan error, 1)
				received := 0
				c.SetHandler(websock.Messages(func(c *websock.Conn, _ websock.Opcode, msg []byte) {
					if received++; received == 1 {
						begun <- struct{}{}
						<-gone
					}
					c.SendText(msg)
				}, func(_ *websock.Conn, err error) { ended <- err }))
				first := len(frameTo(role, websock.OpText, "message 0"))
				far.Write(stream[:first])
				wait(t, "the first call", begun)
				far.Write(stream[first:])
				reset(far)
				time.Sleep(10 * time.Millisecond)
				gone <- struct{}{}
				err := wait(t, "the end", ended)
				check(t, c, received, err)
			})
			t.Run("pulled", func(t *testing.T) {
				near, far := s.sockets(t, "tcp")
				c := s.conn(t, near, role, websock.Limits{})
				far.Write(stream)
				reset(far)
				time.Sleep(10 * time.Millisecond)
				received := 0
				var err error
				for {
					var msg []byte
					if _, msg, err = c.RecvMessage(nil); err != nil {
						break
					}
					received++
					c.SendText(msg)
				}
				check(t, c, received, err)
			})
		})
	}
}

// peers are what a peer does that takes nothing.
var peers = map[string]func(role websock.Role, far net.Conn){
	"a peer that is silent": func(websock.Role, net.Conn) {},
	"a peer that sends without end": func(role websock.Role, far net.Conn) {
		flood := []byte(strings.Repeat(string(frameTo(role, websock.OpBinary, strings.Repeat("x", 4000))), 10))
		for {
			if _, err := far.Write(flood); err != nil {
				return
			}
		}
	},
}

// After a send failed, what comes is received for Limits.CloseTimeout. Then the connection ends
// with the error of the send.
func (s Suite) testAFailedSendLeavesCloseTimeoutToReceive(t *testing.T) {
	for name, peer := range peers {
		s.eachRole(t, func(t *testing.T, role websock.Role) {
			for _, way := range []string{"pushed", "pulled"} {
				t.Run(name+", "+way, func(t *testing.T) {
					t.Parallel()
					near, far := s.sockets(t, "tcp")
					c := s.conn(t, near, role, websock.Limits{CloseTimeout: 200 * time.Millisecond, WhenFull: websock.QueueWaits})
					go peer(role, far)
					ended := make(chan error, 1)
					if way == "pushed" {
						c.SetHandler(websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
							c.SetRecvDeadline(time.Now().Add(time.Hour))
						}, func(_ *websock.Conn, err error) { ended <- err }))
					} else {
						go func() {
							var msg []byte
							for {
								var err error
								if _, msg, err = c.RecvMessage(msg[:0]); err != nil && !errors.Is(err, websock.ErrTimeout) {
									ended <- err
									return
								}
								c.SetRecvDeadline(time.Now().Add(time.Hour))
							}
						}()
					}
					c.SetSendDeadline(time.Now().Add(50 * time.Millisecond))
					var sent error
					for sent == nil {
						sent = c.SendBinary(make([]byte, 1<<20))
					}
					c.SetRecvDeadline(time.Time{})
					if err := wait(t, "the end", ended); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, websock.ErrTimeout) || errors.Is(err, websock.ErrClosed) {
						t.Errorf("it ended with %v; the send with %v", err, sent)
					}
				})
			}
		})
	}
}

// Close takes Limits.CloseTimeout and not longer, whatever is set meanwhile.
func (s Suite) testNothingProlongsClose(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for name, peer := range peers {
		s.eachRole(t, func(t *testing.T, role websock.Role) {
			for _, way := range []string{"pushed", "pulled"} {
				t.Run(name+", "+way, func(t *testing.T) {
					t.Parallel()
					near, far := s.sockets(t, "tcp")
					c := s.conn(t, near, role, websock.Limits{CloseTimeout: timeout, WhenFull: websock.QueueWaits})
					go peer(role, far)
					ended := make(chan error, 1)
					if way == "pushed" {
						c.SetHandler(websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
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

// The time that the Handler takes in which Close was called does not count.
func (s Suite) testCloseInASlowHandlerLosesNothing(t *testing.T) {
	const size, timeout = 4 << 20, 2 * time.Second // within which a busy machine moves them
	for role, closer := range map[websock.Role]string{websock.Client: "the Handler", websock.Server: "another goroutine"} {
		t.Run(role.String()+" closed by "+closer, func(t *testing.T) {
			s.mayRunInParallel(t)
			near, far := s.sockets(t, "tcp")
			c := s.conn(t, near, role, websock.Limits{CloseTimeout: timeout, SendQueue: 2 * size})
			peer := s.conn(t, far, 1-role, websock.Limits{})
			ended := make(chan error, 1)
			c.SetHandler(websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
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
			var closed *websock.CloseError
			if err := wait(t, "the peer", read); !errors.As(err, &closed) || closed.Code != 4000 || closed.Reason != "bye" {
				t.Errorf("the peer got %v", err)
			}
			if err := wait(t, "the end", ended); !errors.As(err, &closed) || closed.Err != websock.ErrClosed {
				t.Errorf("OnClose got %v", err)
			}
		})
	}
}

// A RecvTimeout ends in its time, whatever deadline others set meanwhile.
func (s Suite) testNothingProlongsRecvTimeout(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{})
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-over:
				return
			default:
				c.SetRecvDeadline(time.Now().Add(time.Hour))
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	for range 20 {
		received := make(chan error, 1)
		go func() {
			_, _, err := c.RecvTimeout(nil, 5*time.Millisecond)
			received <- err
		}()
		if err := wait(t, "the receive", received); !errors.Is(err, websock.ErrTimeout) {
			t.Fatal(err)
		}
	}
}

// A receive ends at the deadline that was set last, however it meets those of RecvTimeout.
func (s Suite) testARecvDeadlineIsNotLost(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{})
	for range 100 {
		c.SetRecvDeadline(time.Time{})
		c.RecvTimeout(nil, 0) // whose time limit the next receive takes back
		received := make(chan error, 1)
		go func() {
			_, _, err := c.Recv(nil)
			received <- err
		}()
		go c.SetRecvDeadline(time.Now().Add(time.Millisecond))
		if err := wait(t, "the receive", received); !errors.Is(err, websock.ErrTimeout) {
			t.Fatal(err)
		}
	}
}

// A Handler may take its time: what others send leaves, and takes along what it has sent.
func (s Suite) testASendDoesNotWaitForAHandler(t *testing.T) {
	prepared, err := websock.NewPreparedMessage(websock.OpText, []byte("prepared"))
	if err != nil {
		t.Fatal(err)
	}
	for what, send := range map[string]func(c *websock.Conn) error{
		"SendText": func(c *websock.Conn) error { return c.SendText([]byte("x")) },
		"TrySend":  func(c *websock.Conn) error { return c.TrySend(websock.OpText, []byte("x")) },
		"SendContext": func(c *websock.Conn) error {
			return c.SendContext(t.Context(), websock.OpText, []byte("x"))
		},
		"SendPrepared": func(c *websock.Conn) error { return c.SendPrepared(prepared) },
		"a lent buffer": func(c *websock.Conn) error {
			b, err := c.Reserve(1)
			if err != nil {
				return err
			}
			b.Bytes()[0] = 'x'
			return b.SendText(1)
		},
		"a writer": func(c *websock.Conn) error {
			w, err := c.NextWriter(websock.OpText)
			if err != nil {
				return err
			}
			w.Write([]byte("x"))
			return w.Close()
		},
		"a large message": func(c *websock.Conn) error { return c.SendBinary(make([]byte, 32<<10)) },
	} {
		s.eachNetwork(t, func(t *testing.T, network string) {
			near, far := s.sockets(t, network) // far isn't on a loop that the Handler may hold up
			client := s.conn(t, near, websock.Client, websock.Limits{})
			received := make(chan error, 1)
			go func() { received <- readMessages(far, 2) }()
			begun, done := make(chan struct{}), make(chan struct{})
			client.SetHandler(websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
				c.SendText([]byte("of the Handler"))
				close(begun)
				<-done
			}, nil))
			defer close(done)
			sent := make(chan error, 1)
			go func() {
				<-begun
				sent <- send(client)
			}()
			if _, err := far.Write(frameTo(websock.Client, websock.OpText, "begin")); err != nil {
				t.Fatal(err)
			}
			if err := wait(t, what, received); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if err := wait(t, what, sent); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

// readMessages reads so many messages that a client has sent.
func readMessages(conn net.Conn, n int) error {
	d := engine.NewDecoder(websock.Server, engine.Limits{})
	buf := make([]byte, 4096)
	for n > 0 {
		size, err := conn.Read(buf)
		if err != nil {
			return err
		}
		for rest := buf[:size]; len(rest) > 0; {
			e, used, err := d.Next(rest)
			if err != nil {
				return err
			}
			if e.Kind == engine.EventData && e.Header.Fin && e.Header.Remaining == 0 {
				n--
			}
			rest = rest[used:]
		}
	}
	return nil
}
