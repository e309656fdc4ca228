package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/backlog"
)

func (s Suite) testAHandlerGetsEarlyAndLaterBytes(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.sockets(t, network)
		c := websock.NewConn(s.attach(t, client, []byte("\x81\x05early\x81\x05la")), websock.Client, websock.Options{})
		h := newCollector()
		setHandler(t, c, h.handler())
		io.WriteString(server, "ter\x88\x02\x03\xe8")
		for _, want := range []string{"early", "later"} {
			if got := wait(t, "a message", h.messages); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		reply := make([]byte, 8)
		io.ReadFull(server, reply)
		server.Close()
		var closed *websock.CloseError
		if err := wait(t, "OnClose", h.closed); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
			t.Errorf("%v", err)
		}
	})
}

// A Handler may take a lock that the caller of SetHandler holds.
func (s Suite) testSetHandlerDoesNotCallTheHandlerItself(t *testing.T) {
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
		case <-time.After(patience):
			t.Fatal("SetHandler calls the Handler itself")
		}
		if got := wait(t, "a message", h.messages); got != "early" {
			t.Errorf("%q", got)
		}
	})
}

func (s Suite) testAHandlerContinuesAfterRecv(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{})
		go func() {
			server.Cork()
			server.SendText([]byte("pulled"))
			server.SendText([]byte("pushed"))
			server.Flush()
			echo(server)
		}()
		if _, msg, err := client.RecvMessage(nil); string(msg) != "pulled" || err != nil {
			t.Fatalf("%q, %v", msg, err)
		}
		if _, _, err := client.RecvTimeout(nil, -1); err != nil && !errors.Is(err, websock.ErrTimeout) {
			t.Fatal(err) // a timeout that must not be the Handler's
		}
		h := newCollector()
		setHandler(t, client, h.handler())
		if got := wait(t, "a message", h.messages); got != "pushed" {
			t.Errorf("%q", got)
		}
		client.SendText([]byte("echoed"))
		if got := wait(t, "a message", h.messages); got != "echoed" {
			t.Errorf("%q", got)
		}
	})
}

func (s Suite) testOnCloseFollowsAnEndThatArrivesWithTheLastBytes(t *testing.T) {
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
					setHandler(t, c, websock.Messages(func(_ *websock.Conn, _ websock.Opcode, msg []byte) {
						h.messages <- string(msg)
						if string(msg) == "hold" {
							<-block // until the end is there too
						}
					}, func(_ *websock.Conn, err error) { h.closed <- err }))
					for range before {
						io.WriteString(server, "\x81\x01x")
						wait(t, "a message", h.messages)
					}
					io.WriteString(server, "\x81\x04hold")
					wait(t, "a message", h.messages)
					io.WriteString(server, "\x81\x04last")
					finish(server)
					time.Sleep(time.Millisecond)
					close(block)
					var lost *websock.CloseError
					if err := wait(t, "OnClose", h.closed); !errors.As(err, &lost) || lost.Code != websock.CloseAbnormal {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func (s Suite) testHandlersEchoUntilClose(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{CloseTimeout: patience})
		serverClosed := make(chan error, 2)
		setHandler(t, server, websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
			if err := c.SendFrame(op, true, msg); err != nil {
				t.Error(err)
			}
		}, func(_ *websock.Conn, err error) { serverClosed <- err }))
		h := newCollector()
		setHandler(t, client, h.handler())
		for i := range 100 {
			want := strings.Repeat("m", i*97)
			if err := client.SendText([]byte(want)); err != nil {
				t.Fatal(err)
			}
			if got := wait(t, "a message", h.messages); got != want {
				t.Fatalf("%d bytes, want %d", len(got), len(want))
			}
		}
		if err := client.CloseWith(4010, "enough"); err != nil {
			t.Error(err)
		}
		var closed *websock.CloseError
		if err := wait(t, "OnClose", h.closed); !errors.As(err, &closed) || !closed.Local {
			t.Errorf("client: %v", err)
		}
		if err := wait(t, "OnClose of the server", serverClosed); !errors.As(err, &closed) || closed.Code != 4010 {
			t.Errorf("server: %v", err)
		}
	})
}

func (s Suite) testOnCloseReportsAPeerThatDoesNotAnswerTheClose(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		a, b := s.sockets(t, network)
		go io.Copy(io.Discard, b)
		c := s.conn(t, a, websock.Client, websock.Limits{CloseTimeout: 500 * time.Millisecond})
		h := newCollector()
		setHandler(t, c, h.handler())
		c.Close()
		if err := wait(t, "OnClose", h.closed); !errors.Is(err, websock.ErrClosed) || !errors.Is(err, websock.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func (s Suite) testTheRecvDeadlineEndsAConnectionWithAHandler(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		a, _ := s.sockets(t, network)
		c := s.conn(t, a, websock.Client, websock.Limits{})
		h := newCollector()
		setHandler(t, c, h.handler())
		c.SetRecvDeadline(time.Now().Add(5 * time.Millisecond))
		if err := wait(t, "OnClose", h.closed); !errors.Is(err, websock.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func (s Suite) testDeadlineAndCloseEndAConnectionWhosePeerKeepsSending(t *testing.T) {
	ends := map[string]func(c *websock.Conn){
		"deadline": func(c *websock.Conn) { c.SetRecvDeadline(time.Now().Add(20 * time.Millisecond)) },
		"close":    func(c *websock.Conn) { c.Close() },
	}
	for name, end := range ends {
		s.eachNetwork(t, func(t *testing.T, network string) {
			client, server := s.sockets(t, network)
			c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
			h := newCollector()
			setHandler(t, c, websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
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
			if err := wait(t, "OnClose", h.closed); !errors.Is(err, websock.ErrTimeout) {
				t.Errorf("%s: %v", name, err)
			}
			c.Abort(nil)
			wait(t, "the end of the flood", flooding)
		})
	}
}

// A Handler that panics, if Options.Recover is set, or that calls runtime.Goexit, ends its own
// connection and no other.
func (s Suite) testPanicAndGoexitEndOnlyTheirConnection(t *testing.T) {
	exits := map[string]func(){
		"panic":  func() { panic(errPanic) },
		"Goexit": runtime.Goexit,
	}
	for name, exit := range exits {
		for _, where := range []string{"OnData of early", "OnData of later", "OnPong", "OnClose"} {
			t.Run(name+" in "+where, func(t *testing.T) {
				l := &exiter{where: where, exit: exit, recovered: make(chan any, 2), closed: make(chan error, 2)}
				s.testHandlerThatDoesNotReturn(t, l, name == "panic")
			})
		}
	}
}

func (s Suite) testHandlerThatDoesNotReturn(t *testing.T, l *exiter, panics bool) {
	neighbours := s.neighbours(t)
	client, server := s.sockets(t, "tcp")
	c := websock.NewConn(s.attach(t, client, []byte("\x82\x05early")), websock.Client, websock.Options{
		Limits:  websock.Limits{CloseTimeout: patience},
		Recover: func(_ *websock.Conn, v any) { l.recovered <- v },
	})
	setHandler(t, c, l)
	io.WriteString(server, "\x82\x05later\x8a\x00")
	if l.where == "OnClose" {
		io.WriteString(server, "\x88\x02\x03\xe8")
	}
	if got := peerCloseCode(t, server); l.where != "OnClose" && got != websock.CloseInternalError {
		t.Errorf("the peer was told %v, want %v", got, websock.CloseInternalError)
	}
	server.Close()

	err := wait(t, "OnClose", l.closed)
	var left *websock.HandlerError
	if l.where == "OnClose" {
		if errors.As(err, &left) {
			t.Errorf("OnClose got %v before it exited", err)
		}
	} else if !errors.As(err, &left) || !errors.As(c.Err(), &left) {
		t.Errorf("OnClose got %v, Err is %v: want a HandlerError", err, c.Err())
	} else if panics != errors.Is(err, errPanic) {
		t.Errorf("OnClose got %v with the value %v", err, left.Value)
	}
	if panics {
		if v := wait(t, "Recover", l.recovered); v != errPanic {
			t.Errorf("Recover got %v", v)
		}
	}
	for _, n := range neighbours {
		n.echo(t)
	}
	select {
	case err := <-l.closed:
		t.Errorf("OnClose was called twice, the second time with %v", err)
	case v := <-l.recovered:
		t.Errorf("Recover was called once more than there were panics, with %v", v)
	default:
	}
}

// A deadline that passes while a Handler works through what has arrived ends the connection.
func (s Suite) testADeadlineInterruptsALargeBacklog(t *testing.T) {
	for kind, stream := range backlog.Streams() {
		t.Run(kind, func(t *testing.T) {
			client, _ := s.sockets(t, "tcp")
			h := &backlog.Handler{Closed: make(chan error, 1)}
			h.OnFirst = func(c *websock.Conn) { c.SetRecvDeadline(time.Now().Add(-time.Second)) }
			c := s.withBacklog(t, client, stream, h)
			if err := wait(t, "OnClose", h.Closed); !errors.Is(err, websock.ErrTimeout) {
				t.Errorf("%v", err)
			}
			if h.Bytes > backlog.TurnBytes || h.Calls > backlog.TurnCalls {
				t.Errorf("the Handler got %d bytes in %d calls after the deadline", h.Bytes, h.Calls)
			}
			c.Abort(nil)
		})
	}
}

// Nothing is lost where the transport turns to other connections.
func (s Suite) testALargeBacklogIsReceivedWhole(t *testing.T) {
	for kind, stream := range backlog.Streams() {
		for _, pauses := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/pauses=%v", kind, pauses), func(t *testing.T) {
				client, server := s.sockets(t, "tcp")
				h := &backlog.Handler{Closed: make(chan error, 1), Pauses: pauses}
				s.withBacklog(t, client, stream, h)
				go func() { // what comes later is received after what is here
					server.Write(stream)
					server.Write([]byte("\x88\x02\x03\xe8"))
				}()
				var closed *websock.CloseError
				if err := wait(t, "OnClose", h.Closed); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
					t.Errorf("%v", err)
				}
				if kind == "tiny" && h.Calls != len(stream) || kind == "inflating" && h.Bytes != 32<<20 {
					t.Errorf("the Handler got %d bytes in %d calls", h.Bytes, h.Calls)
				}
			})
		}
	}
}

// withBacklog returns a connection that has received stream already.
func (s Suite) withBacklog(t *testing.T, conn net.Conn, stream []byte, h *backlog.Handler) *websock.Conn {
	t.Helper()
	c := websock.NewConn(s.attach(t, conn, bytes.Clone(stream)), websock.Client, websock.Options{
		Limits:      websock.Limits{CloseTimeout: 20 * time.Millisecond},
		Compression: websock.Compression{Level: 1},
	})
	setHandler(t, c, h)
	return c
}
