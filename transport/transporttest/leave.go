package transporttest

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

var errLeft = errors.New("the handler gives up")

// A leaver is a Handler one of whose methods doesn't return.
type leaver struct {
	where     string // the method
	leave     func()
	recovered chan any
	closed    chan error
}

func (l *leaver) leaveIn(method string) {
	if l.where == method {
		l.leave()
	}
}

func (l *leaver) OnData(_ *websock.Conn, _ websock.Header, payload []byte) {
	l.leaveIn("OnData of " + string(payload))
}

func (l *leaver) OnPong(*websock.Conn, []byte) { l.leaveIn("OnPong") }

func (l *leaver) OnClose(_ *websock.Conn, err error) {
	l.closed <- err
	l.leaveIn("OnClose")
}

// A Handler that panics, where that is to be survived, or that ends its goroutine, ends its
// own connection. Others are served on.
func (s Suite) testAHandlerThatDoesNotReturnEndsItsConnectionOnly(t *testing.T) {
	leaves := map[string]func(){
		"panic":  func() { panic(errLeft) },
		"Goexit": runtime.Goexit,
	}
	for name, leave := range leaves {
		for _, where := range []string{"OnData of early", "OnData of later", "OnPong", "OnClose"} {
			t.Run(name+" in "+where, func(t *testing.T) {
				l := &leaver{where: where, leave: leave, recovered: make(chan any, 2), closed: make(chan error, 2)}
				s.testLeaver(t, l, name == "panic")
			})
		}
	}
}

func (s Suite) testLeaver(t *testing.T, l *leaver, panics bool) {
	neighbours := s.echoing(t)
	client, server := s.sockets(t, "tcp")
	c := websock.NewConn(s.attach(t, client, []byte("\x82\x05early")), websock.Client, websock.Options{
		Limits:  websock.Limits{CloseTimeout: 20 * time.Millisecond},
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

// peerCloseCode reads what a client sends, which is masked, up to its close frame.
func peerCloseCode(t *testing.T, server net.Conn) websock.CloseCode {
	t.Helper()
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	d := engine.NewDecoder(websock.Server, engine.Limits{})
	buf := make([]byte, 512)
	for {
		n, err := server.Read(buf)
		for rest := buf[:n]; ; {
			e, used, err := d.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == engine.EventClose {
				code, _, _ := engine.ParseClose(e.Payload)
				return code
			}
			if e.Kind == engine.EventNone {
				break
			}
			rest = rest[used:]
		}
		if err != nil {
			t.Fatalf("the peer got no close frame: %v", err)
		}
	}
}

func within[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal(what + " was not called")
	}
	return v
}

// A neighbour is a connection with a Handler whose peer echoes.
type neighbour struct {
	conn *websock.Conn
	*collector
}

// echoing returns connections on all loops that there may be.
func (s Suite) echoing(t testing.TB) (neighbours []neighbour) {
	for range max(8, 2*runtime.GOMAXPROCS(0)) {
		client, server := s.pair(t, "tcp", websock.Limits{CloseTimeout: 20 * time.Millisecond})
		go echo(server)
		n := neighbour{client, newCollector()}
		client.SetHandler(n.handler())
		neighbours = append(neighbours, n)
	}
	return neighbours
}

func (n neighbour) echo(t *testing.T) {
	t.Helper()
	if err := n.conn.SendText([]byte("still there")); err != nil {
		t.Fatal(err)
	}
	if got := within(t, n.messages, "a neighbour's Handler"); got != "still there" {
		t.Errorf("a neighbour got %q", got)
	}
}
