package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// collector is a Handler that counts messages.
type collector struct {
	messages chan string
	closed   chan error
}

func newCollector() *collector {
	return &collector{messages: make(chan string, 1000), closed: make(chan error, 2)}
}

func (h *collector) handler() websock.Handler {
	return websock.Messages(
		func(_ *websock.Conn, _ websock.Opcode, msg []byte) { h.messages <- string(msg) },
		func(_ *websock.Conn, err error) { h.closed <- err },
	)
}

func (s Suite) testPushDeliversEarlyAndLaterBytes(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.sockets(t, network)
		c := websock.NewConn(s.attach(t, client, []byte("\x81\x05early\x81\x05la")), websock.Client, websock.Options{})
		h := newCollector()
		if err := c.SetHandler(h.handler()); err != nil {
			t.Fatal(err)
		}
		io.WriteString(server, "ter\x88\x02\x03\xe8")
		for _, want := range []string{"early", "later"} {
			if got := <-h.messages; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		reply := make([]byte, 8)
		io.ReadFull(server, reply)
		server.Close()
		var closed *websock.CloseError
		if err := <-h.closed; !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
			t.Errorf("%v", err)
		}
	})
}

// The Handler takes a lock that whoever sets it holds.
func (s Suite) testPushCallsTheHandlerFromElsewhere(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, _ := s.sockets(t, network)
		c := websock.NewConn(s.attach(t, client, []byte("\x81\x05early")), websock.Client, websock.Options{})
		h := newCollector()
		var mu sync.Mutex
		set := make(chan error)
		go func() {
			mu.Lock()
			defer mu.Unlock()
			set <- c.SetHandler(websock.Messages(func(_ *websock.Conn, _ websock.Opcode, msg []byte) {
				mu.Lock()
				defer mu.Unlock()
				h.messages <- string(msg)
			}, nil))
		}()
		select {
		case err := <-set:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("SetHandler calls the Handler itself")
		}
		if got := <-h.messages; got != "early" {
			t.Errorf("%q", got)
		}
	})
}

func (s Suite) testPushSeesTheEndThatComesWithTheLastBytes(t *testing.T) {
	ends := map[string]func(conn net.Conn){
		"closed": func(conn net.Conn) { conn.Close() },
		"reset":  reset,
	}
	for end, finish := range ends {
		for _, before := range []int{0, 1, 20} { // messages just before: a busy connection
			t.Run(fmt.Sprintf("%s after %d", end, before), func(t *testing.T) {
				t.Parallel()
				for range 10 {
					client, server := s.sockets(t, "tcp")
					c := s.conn(t, client, websock.Client, websock.Limits{})
					h := newCollector()
					block := make(chan struct{})
					c.SetHandler(websock.Messages(func(_ *websock.Conn, _ websock.Opcode, msg []byte) {
						h.messages <- string(msg)
						if string(msg) == "hold" {
							<-block // until the end is there too
						}
					}, func(_ *websock.Conn, err error) { h.closed <- err }))
					for range before {
						io.WriteString(server, "\x81\x01x")
						<-h.messages
					}
					io.WriteString(server, "\x81\x04hold")
					<-h.messages
					io.WriteString(server, "\x81\x04last")
					finish(server)
					time.Sleep(time.Millisecond)
					close(block)
					var lost *websock.CloseError
					if err := <-h.closed; !errors.As(err, &lost) || lost.Code != websock.CloseAbnormal {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func (s Suite) testPushEchoAndCloseFromOutside(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{})
		serverClosed := make(chan error, 2)
		server.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
			if err := c.SendFrame(op, true, msg); err != nil {
				t.Error(err)
			}
		}, func(_ *websock.Conn, err error) { serverClosed <- err }))
		h := newCollector()
		client.SetHandler(h.handler())
		for i := range 100 {
			want := strings.Repeat("m", i*97)
			if err := client.SendText([]byte(want)); err != nil {
				t.Fatal(err)
			}
			if got := <-h.messages; got != want {
				t.Fatalf("%d bytes, want %d", len(got), len(want))
			}
		}
		if err := client.CloseWith(4010, "enough"); err != nil {
			t.Error(err)
		}
		var closed *websock.CloseError
		if err := <-h.closed; !errors.As(err, &closed) || !closed.Local {
			t.Errorf("client: %v", err)
		}
		if err := <-serverClosed; !errors.As(err, &closed) || closed.Code != 4010 {
			t.Errorf("server: %v", err)
		}
	})
}

func (s Suite) testPushGivesUpOnAPeerThatDoesNotCompleteTheClose(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		a, b := s.sockets(t, network)
		go io.Copy(io.Discard, b)
		c := s.conn(t, a, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
		h := newCollector()
		c.SetHandler(h.handler())
		c.Close()
		if err := <-h.closed; !errors.Is(err, websock.ErrClosed) || !errors.Is(err, websock.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func (s Suite) testPushEndsAtTheRecvDeadline(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		a, _ := s.sockets(t, network)
		c := s.conn(t, a, websock.Client, websock.Limits{})
		h := newCollector()
		c.SetHandler(h.handler())
		c.SetRecvDeadline(time.Now().Add(5 * time.Millisecond))
		if err := <-h.closed; !errors.Is(err, websock.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func (s Suite) testPushEndsOnAPeerThatSendsWithoutEnd(t *testing.T) {
	ends := map[string]func(c *websock.Conn){
		"deadline": func(c *websock.Conn) { c.SetRecvDeadline(time.Now().Add(20 * time.Millisecond)) },
		"close":    func(c *websock.Conn) { c.Close() },
	}
	for name, end := range ends {
		s.eachNetwork(t, func(t *testing.T, network string) {
			client, server := s.sockets(t, network)
			c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
			h := newCollector()
			c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
				time.Sleep(100 * time.Microsecond) // so that there are always more bytes to read
			}, func(_ *websock.Conn, err error) { h.closed <- err }))
			flooding := make(chan struct{})
			go func() {
				defer close(flooding)
				for flood := bytes.Repeat([]byte("\x82\x7e\x10\x00"+strings.Repeat("x", 4096)), 100); ; {
					if _, err := server.Write(flood); err != nil {
						return
					}
				}
			}()
			end(c)
			if err := <-h.closed; !errors.Is(err, websock.ErrTimeout) {
				t.Errorf("%s: %v", name, err)
			}
			c.Abort(nil)
			<-flooding
		})
	}
}
