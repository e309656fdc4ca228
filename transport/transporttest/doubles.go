package transporttest

import (
	stdtls "crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/tls"
)

// patience is how long a test waits for what must not take long, on a machine that is busy.
const patience = 10 * time.Second

// wait fails the test if nothing comes.
func wait[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
	return v
}

// returns fails the test if f doesn't return.
func returns(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	wait(t, what, done)
}

// soon calls f in a goroutine and fails the test if it doesn't return.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal(what, "hangs")
	}
}

var errCause = errors.New("the test's cause")

// wantAborted checks what OnClose gets after an Abort with errCause.
func wantAborted(t *testing.T, err error) {
	t.Helper()
	var how *websock.CloseError
	if !errors.As(err, &how) || how.Code != websock.CloseAbnormal || !how.Local || !errors.Is(err, errCause) {
		t.Errorf("OnClose got %v", err)
	}
}

// A script is a Handler whose calls can be set one by one.
type script struct {
	data   func(c *websock.Conn, payload string)
	pong   func(c *websock.Conn)
	close  func(c *websock.Conn)
	closed chan error
}

func newScript() *script { return &script{closed: make(chan error, 10)} }

func (s *script) OnData(c *websock.Conn, _ websock.Header, payload []byte) {
	if s.data != nil {
		s.data(c, string(payload))
	}
}

func (s *script) OnPong(c *websock.Conn, _ []byte) {
	if s.pong != nil {
		s.pong(c)
	}
}

func (s *script) OnClose(c *websock.Conn, err error) {
	if s.close != nil {
		s.close(c)
	}
	s.closed <- err
}

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

var errLeft = errors.New("the handler gives up")

// A counter is a Handler that counts its calls and notices when two run at a time, or one
// after the end.
type counter struct {
	running, data, closed atomic.Int32
	wrong                 atomic.Pointer[string]
	done                  chan struct{}
}

func (h *counter) begin(method string) (end func()) {
	if h.running.Add(1) != 1 {
		h.complain(method + " is called while another call runs")
	}
	if h.closed.Load() > 0 {
		h.complain(method + " is called after OnClose")
	}
	return func() { h.running.Add(-1) }
}

func (h *counter) complain(what string) { h.wrong.CompareAndSwap(nil, &what) }

func (h *counter) OnData(c *websock.Conn, hdr websock.Header, payload []byte) {
	defer h.begin("OnData")()
	h.data.Add(1)
	if rand.IntN(8) == 0 {
		c.Pause()
		go c.Resume()
	}
	if rand.IntN(4) == 0 {
		c.SendBinary(payload)
	}
}

func (h *counter) OnClose(*websock.Conn, error) {
	defer h.begin("OnClose")()
	h.closed.Add(1)
	close(h.done)
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

// echo sends back every message until the connection ends.
func echo(c *websock.Conn) error {
	var msg []byte
	for {
		op, m, err := c.RecvMessage(msg[:0])
		if err != nil {
			return errors.Join(err, c.Close())
		}
		msg = m
		if err := c.SendFrame(op, true, m); err != nil {
			return errors.Join(err, c.Close())
		}
	}
}

// frameTo returns a frame as a peer of role sends it. A client's is masked with a key of zeros.
func frameTo(role websock.Role, op websock.Opcode, payload string) []byte {
	h := websock.Header{Fin: true, Opcode: op, Masked: role == websock.Server, Length: int64(len(payload))}
	return append(engine.AppendHeader(nil, h), payload...)
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

// pulledAndPushed runs f with connections that pull and with such that have a Handler.
func pulledAndPushed(t *testing.T, f func(t *testing.T, begin func(c *websock.Conn))) {
	t.Run("pulled", func(t *testing.T) { f(t, func(*websock.Conn) {}) })
	t.Run("pushed", func(t *testing.T) {
		f(t, func(c *websock.Conn) {
			if err := c.SetHandler(newCollector().handler()); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// below returns the connection that carries conn's TLS, if there is any.
func below(conn net.Conn) net.Conn {
	secured, ok := conn.(*stdtls.Conn)
	if !ok {
		return conn
	}
	if conn, ok := tls.NetConn(secured); ok {
		return conn
	}
	return secured.NetConn()
}

// reset makes the peer of conn see a reset.
func reset(conn net.Conn) {
	below(conn).(*net.TCPConn).SetLinger(0)
	below(conn).Close()
}
