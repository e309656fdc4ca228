package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/race"
)

func (s Suite) testManySendersOneReceiver(t *testing.T) {
	const senders, messages = 64, 50
	client, server := s.pair(t, "tcp", websock.Limits{})
	var running sync.WaitGroup
	for g := range senders {
		running.Go(func() {
			for i := range messages {
				size := []int{5, 130, 5000, 70000}[(g+i)%4]
				if err := client.SendBinary(bytes.Repeat([]byte{byte(g)}, size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	counts := map[byte]int{}
	var msg []byte
	for range senders * messages {
		_, m, err := server.RecvMessage(msg[:0])
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.Trim(m, string(rune(m[0])))) != 0 {
			t.Fatal("torn frame")
		}
		counts[m[0]]++
		msg = m
	}
	running.Wait()
	for g := range senders {
		if counts[byte(g)] != messages {
			t.Errorf("sender %d: %d messages, want %d", g, counts[byte(g)], messages)
		}
	}
}

func (s Suite) testEchoAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	for _, size := range []int{16, 125, 4096, 65536} {
		client, server := s.pair(t, "tcp", websock.Limits{})
		payload := bytes.Repeat([]byte("a"), size)
		buf := make([]byte, 0, size)
		carry := func(from, to *websock.Conn) {
			if err := from.SendText(payload); err != nil {
				t.Fatal(err)
			}
			if _, msg, err := to.RecvMessage(buf); len(msg) != size || err != nil {
				t.Fatal(len(msg), err)
			}
		}
		allocs := testing.AllocsPerRun(200, func() {
			carry(client, server)
			carry(server, client)
		})
		allowed := s.EchoAllocs
		if s.TLS != 0 {
			allowed = max(allowed, 4)
		}
		if allocs > allowed {
			t.Errorf("%d bytes: %v allocations, want %v", size, allocs, allowed)
		}
	}
}

func (s Suite) testAPreparedMessageArrives(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{})
		for _, size := range []int{0, 125, 5000, 300000} {
			message, err := websock.NewPreparedMessage(websock.OpBinary, bytes.Repeat([]byte("p"), size))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				for _, ends := range [][2]*websock.Conn{{client, server}, {server, client}} {
					sent := make(chan error, 1)
					go func() { sent <- ends[0].SendPrepared(message) }()
					op, m, err := ends[1].RecvMessage(nil)
					if op != websock.OpBinary || !bytes.Equal(m, message.Payload()) || err != nil {
						t.Fatalf("%d bytes: %v of %d bytes, %v", size, op, len(m), err)
					}
					if err := wait(t, "the send", sent); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}

func (s Suite) testSendDeadlineIsFatal(t *testing.T) {
	client, _ := s.sockets(t, "tcp")
	c := s.conn(t, client, websock.Client, websock.Limits{})
	c.SetSendDeadline(time.Now().Add(20 * time.Millisecond))
	if err := c.SendBinary(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	c.SetSendDeadline(time.Time{})
	if err := c.SendText(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("afterwards: %v", err)
	}
}

// While a Handler blocks, what other goroutines send is written, after what the Handler has sent.
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
			setHandler(t, client, websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
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

// A send to a peer that does not read returns at its deadline, also while the Handler of the
// connection blocks, and OnClose gets the error of the send.
func (s Suite) testASendDeadlineHoldsWhileAHandlerBlocks(t *testing.T) {
	deadlines := map[string]func(c *websock.Conn){
		"set before": func(c *websock.Conn) { c.SetSendDeadline(time.Now().Add(100 * time.Millisecond)) },
		"set meanwhile": func(c *websock.Conn) {
			c.SetSendDeadline(time.Now().Add(time.Hour))
			time.AfterFunc(50*time.Millisecond, func() { c.SetSendDeadline(time.Now().Add(50 * time.Millisecond)) })
		},
	}
	for name, setDeadline := range deadlines {
		t.Run(name, func(t *testing.T) {
			near, far := s.sockets(t, "tcp")
			c := s.conn(t, near, websock.Client, websock.Limits{CloseTimeout: 100 * time.Millisecond, WhenFull: websock.QueueWaits})
			release, ended := blockHandler(t, c, far)
			setDeadline(c)
			sent := make(chan error, 1)
			go func() {
				for {
					if err := c.SendBinary(make([]byte, 4<<20)); err != nil {
						sent <- err
						return
					}
				}
			}()
			if err := wait(t, "the send", sent); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the send returned %v", err)
			}
			close(release)
			if err := wait(t, "OnClose", ended); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("OnClose got %v", err)
			}
		})
	}
}

// A peer sends many messages and a close frame, and resets the connection. Replies fail, but all
// messages and the close frame are still received.
func (s Suite) testAFailedSendLosesNoReceivedMessage(t *testing.T) {
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
				s.require(t, pusher)
				near, far := s.sockets(t, "tcp")
				c := s.conn(t, near, role, websock.Limits{})
				begun, gone := make(chan struct{}), make(chan struct{})
				ended := make(chan error, 1)
				received := 0
				setHandler(t, c, websock.Messages(func(c *websock.Conn, _ websock.Opcode, msg []byte) {
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

// peers are peers that do not read.
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

// After a failed send, receiving continues for Limits.CloseTimeout. Then the connection ends with the
// error of the send.
func (s Suite) testReceivingEndsCloseTimeoutAfterAFailedSend(t *testing.T) {
	for name, peer := range peers {
		s.eachRole(t, func(t *testing.T, role websock.Role) {
			for _, way := range []string{"pushed", "pulled"} {
				t.Run(name+", "+way, func(t *testing.T) {
					if way == "pushed" {
						s.require(t, pusher)
					}
					t.Parallel()
					near, far := s.sockets(t, "tcp")
					c := s.conn(t, near, role, websock.Limits{CloseTimeout: 200 * time.Millisecond, WhenFull: websock.QueueWaits})
					go peer(role, far)
					ended := make(chan error, 1)
					if way == "pushed" {
						setHandler(t, c, websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
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
