package transporttest

import (
	"bytes"
	"compress/flate"
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
	"github.com/seed004e8d11/websock/engine"
)

func (s Suite) testAHandlerGetsEarlyAndLaterBytes(t *testing.T) {
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
		case <-time.After(10 * time.Second):
			t.Fatal("SetHandler calls the Handler itself")
		}
		if got := <-h.messages; got != "early" {
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
		if err := client.SetHandler(h.handler()); err != nil {
			t.Fatal(err)
		}
		if got := <-h.messages; got != "pushed" {
			t.Errorf("%q", got)
		}
		client.SendText([]byte("echoed"))
		if got := <-h.messages; got != "echoed" {
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

func (s Suite) testHandlersEchoUntilClose(t *testing.T) {
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

func (s Suite) testOnCloseReportsAPeerThatDoesNotAnswerTheClose(t *testing.T) {
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

func (s Suite) testTheRecvDeadlineEndsAConnectionWithAHandler(t *testing.T) {
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

// A Handler that panics, where that is to be survived, or that ends its goroutine, ends its
// own connection. Others are served on.
func (s Suite) testPanicAndGoexitEndOnlyTheirConnection(t *testing.T) {
	leaves := map[string]func(){
		"panic":  func() { panic(errLeft) },
		"Goexit": runtime.Goexit,
	}
	for name, leave := range leaves {
		for _, where := range []string{"OnData of early", "OnData of later", "OnPong", "OnClose"} {
			t.Run(name+" in "+where, func(t *testing.T) {
				l := &leaver{where: where, leave: leave, recovered: make(chan any, 2), closed: make(chan error, 2)}
				s.testHandlerThatDoesNotReturn(t, l, name == "panic")
			})
		}
	}
}

func (s Suite) testHandlerThatDoesNotReturn(t *testing.T, l *leaver, panics bool) {
	neighbours := s.echoing(t)
	client, server := s.sockets(t, "tcp")
	c := websock.NewConn(s.attach(t, client, []byte("\x82\x05early")), websock.Client, websock.Options{
		Limits:  websock.Limits{CloseTimeout: patience},
		Recover: func(_ *websock.Conn, v any) { l.recovered <- v },
	})
	if err := c.SetHandler(l); err != nil {
		t.Fatal(err)
	}
	io.WriteString(server, "\x82\x05later\x8a\x00")
	if l.where == "OnClose" {
		io.WriteString(server, "\x88\x02\x03\xe8")
	}
	if got := peerCloseCode(t, server); l.where != "OnClose" && got != websock.CloseInternalError {
		t.Errorf("the peer was told %v, want %v", got, websock.CloseInternalError)
	}
	server.Close()

	err := within(t, l.closed, "OnClose")
	var left *websock.HandlerError
	if l.where == "OnClose" {
		if errors.As(err, &left) {
			t.Errorf("OnClose got %v before it left", err)
		}
	} else if !errors.As(err, &left) || !errors.As(c.Err(), &left) {
		t.Errorf("OnClose got %v, Err is %v: want a HandlerError", err, c.Err())
	} else if panics != errors.Is(err, errLeft) {
		t.Errorf("OnClose got %v with the value %v", err, left.Value)
	}
	if panics {
		if v := within(t, l.recovered, "Recover"); v != errLeft {
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

// Firehoses are streams of some 16 KB that make much work: each of a kind.
func Firehoses() map[string][]byte {
	var payload bytes.Buffer
	w, _ := flate.NewWriter(&payload, flate.BestCompression)
	w.Write(make([]byte, 1<<20))
	w.Flush()
	p := bytes.TrimSuffix(payload.Bytes(), []byte("\x00\x00\xff\xff"))
	bomb := append(engine.AppendHeader(nil, websock.Header{Fin: true, Rsv: 4, Opcode: websock.OpBinary, Length: int64(len(p))}), p...)
	return map[string][]byte{
		"inflating": bytes.Repeat(bomb, 16),
		"tiny":      bytes.Repeat([]byte("\x82\x00"), 8<<10),
	}
}

// FirehoseTurn is how much of a firehose's payload, and how many calls of its Handler, may come
// before others have their turn.
const (
	FirehoseTurn  = 256 << 10
	FirehoseCalls = 1 << 10
)

// A Firehose is a Handler that counts what it gets.
type Firehose struct {
	Calls, Bytes int
	OnFirst      func(c *websock.Conn) // called with the first
	Pauses       bool                  // now and then, for a moment
	Closed       chan error
}

// OnData counts.
func (f *Firehose) OnData(c *websock.Conn, _ websock.Header, payload []byte) {
	f.Calls++
	f.Bytes += len(payload)
	if f.Pauses && f.Calls%97 == 0 {
		c.Pause()
		go c.Resume()
	}
	if f.Calls == 1 && f.OnFirst != nil {
		f.OnFirst(c)
	}
}

// OnClose tells Closed.
func (f *Firehose) OnClose(_ *websock.Conn, err error) { f.Closed <- err }

// A Handler has much to do with what has come at once. A deadline is still noticed.
func (s Suite) testADeadlineInterruptsALargeBacklog(t *testing.T) {
	for kind, stream := range Firehoses() {
		t.Run(kind, func(t *testing.T) {
			client, _ := s.sockets(t, "tcp")
			f := &Firehose{Closed: make(chan error, 1)}
			f.OnFirst = func(c *websock.Conn) { c.SetRecvDeadline(time.Now().Add(-time.Second)) }
			c := s.firehose(t, client, stream, f)
			if err := within(t, f.Closed, "OnClose"); !errors.Is(err, websock.ErrTimeout) {
				t.Errorf("%v", err)
			}
			if f.Bytes > FirehoseTurn || f.Calls > FirehoseCalls {
				t.Errorf("the Handler got %d bytes in %d calls after the deadline", f.Bytes, f.Calls)
			}
			c.Abort(nil)
		})
	}
}

// Nothing is lost where the turns of a Handler end.
func (s Suite) testALargeBacklogIsReceivedWhole(t *testing.T) {
	for kind, stream := range Firehoses() {
		for _, pauses := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/pauses=%v", kind, pauses), func(t *testing.T) {
				client, server := s.sockets(t, "tcp")
				f := &Firehose{Closed: make(chan error, 1), Pauses: pauses}
				s.firehose(t, client, stream, f)
				go func() { // what comes later is received after what is here
					server.Write(stream)
					server.Write([]byte("\x88\x02\x03\xe8"))
				}()
				var closed *websock.CloseError
				if err := within(t, f.Closed, "OnClose"); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
					t.Errorf("%v", err)
				}
				if kind == "tiny" && f.Calls != len(stream) || kind == "inflating" && f.Bytes != 32<<20 {
					t.Errorf("the Handler got %d bytes in %d calls", f.Bytes, f.Calls)
				}
			})
		}
	}
}

// firehose returns a connection on which a stream has come already.
func (s Suite) firehose(t *testing.T, conn net.Conn, stream []byte, f *Firehose) *websock.Conn {
	t.Helper()
	c := websock.NewConn(s.attach(t, conn, bytes.Clone(stream)), websock.Client, websock.Options{
		Limits:      websock.Limits{CloseTimeout: 20 * time.Millisecond},
		Compression: websock.Compression{Level: 1},
	})
	if err := c.SetHandler(f); err != nil {
		t.Fatal(err)
	}
	return c
}
