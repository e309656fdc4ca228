package transporttest

import (
	"bytes"
	stdtls "crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/tls"
)

// patience is how long a test waits for something that takes a moment on a machine with nothing else
// to do.
const patience = 30 * time.Second

// wait returns what comes from c. It fails the test if nothing comes within patience.
func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	return waitWithin(t, patience, what, c)
}

func waitWithin[T any](t *testing.T, d time.Duration, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(d):
		t.Fatalf("%s: not within %v", what, d)
	}
	return v
}

// returns fails the test if f does not return within patience.
func returns(t *testing.T, what string, f func()) {
	t.Helper()
	returnsWithin(t, patience, what, f)
}

func returnsWithin(t *testing.T, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	waitWithin(t, d, what, done)
}

func setHandler(t testing.TB, c *websock.Conn, h websock.Handler) {
	t.Helper()
	if err := c.SetHandler(h); err != nil {
		t.Fatal(err)
	}
}

var errCause = errors.New("the cause that the test gives")

// wantAborted checks what OnClose gets after an Abort with errCause.
func wantAborted(t *testing.T, err error) {
	t.Helper()
	var how *websock.CloseError
	if !errors.As(err, &how) || how.Code != websock.CloseAbnormal || !how.Local || !errors.Is(err, errCause) {
		t.Errorf("OnClose got %v", err)
	}
}

// A script is a Handler whose methods call functions that a test sets.
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

// A collector puts messages, and what OnClose got, into channels.
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

// An exiter is a Handler one of whose methods panics or calls runtime.Goexit.
type exiter struct {
	where     string // the method
	exit      func()
	recovered chan any
	closed    chan error
}

func (l *exiter) exitIn(method string) {
	if l.where == method {
		l.exit()
	}
}

func (l *exiter) OnData(_ *websock.Conn, _ websock.Header, payload []byte) {
	l.exitIn("OnData of " + string(payload))
}

func (l *exiter) OnPong(*websock.Conn, []byte) { l.exitIn("OnPong") }

func (l *exiter) OnClose(_ *websock.Conn, err error) {
	l.closed <- err
	l.exitIn("OnClose")
}

var errPanic = errors.New("a panic of the test")

// A callChecker is a Handler that notices calls that overlap, and calls after OnClose.
type callChecker struct {
	running, closed atomic.Int32
	wrong           atomic.Pointer[string]
	done            chan struct{}
}

func (h *callChecker) begin(method string) (end func()) {
	if h.running.Add(1) != 1 {
		h.complain(method + " is called while another call runs")
	}
	if h.closed.Load() > 0 {
		h.complain(method + " is called after OnClose")
	}
	return func() { h.running.Add(-1) }
}

func (h *callChecker) complain(what string) { h.wrong.CompareAndSwap(nil, &what) }

func (h *callChecker) OnData(c *websock.Conn, hdr websock.Header, payload []byte) {
	defer h.begin("OnData")()
	if rand.IntN(8) == 0 {
		c.Pause()
		go c.Resume()
	}
	if rand.IntN(4) == 0 {
		c.SendBinary(payload)
	}
}

func (h *callChecker) OnClose(*websock.Conn, error) {
	defer h.begin("OnClose")()
	h.closed.Add(1)
	close(h.done)
}

// A byteReceiver is a Receiver, without a websock.Conn, of the stream that numbered returns parts of.
// When it has ended a goroutine of its Pusher, it is pushed again.
type byteReceiver struct {
	t        testing.TB
	conn     transport.Conn
	most     int                  // how many bytes it consumes at once; 0: all
	enter    func()               // called when Readable begins; may be nil
	exits    func(n int) bool     // whether Readable calls runtime.Goexit after n bytes; may be nil
	exitsEnd func(err error) bool // whether it does so, or End, for this error; may be nil
	finished chan error           // gets the last error

	mu       sync.Mutex // of the fields below; held during resume's call of Resume
	received int
	asked    int   // how often resume was called
	answered int   // how often it had been called when the latest Readable began
	left     int   // how often Readable and End have ended the goroutine
	running  bool  // Readable or End is being called
	leaving  bool  // the latest of them has ended the goroutine
	err      error // of View, or End's
}

// push attaches conn and pushes r.
func (s Suite) push(t testing.TB, conn net.Conn, r *byteReceiver) {
	t.Helper()
	r.t, r.conn, r.finished = t, s.attach(t, conn, nil), make(chan error, 2)
	if err := r.conn.(transport.Pusher).Push(r); err != nil {
		t.Fatal(err)
	}
}

// begin is called when Readable or End begins.
func (r *byteReceiver) begin() (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running || r.leaving {
		r.t.Error("the Receiver is called during another call, or before Finish")
	}
	r.running = true
	r.answered = r.asked
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.running = false
	}
}

func (r *byteReceiver) leave() {
	r.mu.Lock()
	r.left++
	r.leaving = true
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *byteReceiver) Readable() error {
	defer r.begin()()
	if r.enter != nil {
		r.enter()
	}
	for {
		view, err := r.conn.View()
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err != nil {
			return r.fail(err)
		}
		if r.most > 0 {
			view = view[:min(r.most, len(view))]
		}
		r.mu.Lock()
		if !bytes.Equal(view, numbered(r.received, len(view))) {
			r.t.Errorf("%d bytes after %d are not those that were sent", len(view), r.received)
		}
		r.received += len(view)
		n := r.received
		r.mu.Unlock()
		r.conn.Consume(len(view))
		if r.exits != nil && r.exits(n) {
			r.leave()
		}
	}
}

func (r *byteReceiver) End(err error) {
	defer r.begin()()
	r.fail(err)
}

func (r *byteReceiver) fail(err error) error {
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	if r.exitsEnd != nil && r.exitsEnd(err) {
		r.leave()
	}
	return err
}

func (r *byteReceiver) Finish() {
	r.mu.Lock()
	again, err := r.leaving, r.err
	r.leaving = false
	r.mu.Unlock()
	if again && r.conn.(transport.Pusher).Push(r) == nil {
		return
	}
	r.conn.Close()
	r.finished <- err
}

// resume calls Resume, and reports whether Readable is called after that. Readable takes the lock, so
// that Resume must not call it.
func (r *byteReceiver) resume() bool {
	r.mu.Lock()
	r.asked++
	number := r.asked
	r.conn.(transport.Pusher).Resume()
	r.mu.Unlock()
	return r.becomes(func() bool { return r.answered >= number })
}

// becomes waits until what holds, and returns false if it doesn't within patience. what is called with
// the lock held.
func (r *byteReceiver) becomes(what func() bool) bool {
	for start := time.Now(); time.Since(start) < patience; time.Sleep(50 * time.Microsecond) {
		r.mu.Lock()
		holds := what()
		r.mu.Unlock()
		if holds {
			return true
		}
	}
	return false
}

// receives fails the test if r has not received n bytes within patience.
func (r *byteReceiver) receives(t *testing.T, n int) {
	t.Helper()
	if !r.becomes(func() bool { return r.received >= n }) {
		t.Fatalf("%d bytes of %d were received", r.received, n)
	}
}

// numbered returns a part of a stream whose bytes depend on their places in it.
func numbered(from, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte((from + i) % 251)
	}
	return p
}

// A tryWriter writes a numbered stream with TryWrite, also inside Wrote.
type tryWriter struct {
	t            testing.TB
	queue        transport.Queue
	size         int        // of the stream
	beforeFinish func()     // may be nil
	done         chan error // gets the result

	sent     int         // bytes given to TryWrite
	finished int         // how many PendingWrites there were
	waits    atomic.Bool // for Wrote
}

func newTryWriter(t testing.TB, c transport.Conn, size int) *tryWriter {
	return &tryWriter{t: t, queue: c.(transport.Queue), size: size, done: make(chan error, 2)}
}

func (w *tryWriter) write() {
	for w.sent < w.size {
		p := numbered(w.sent, min(40_000, w.size-w.sent))
		w.sent += len(p)
		rest, err := w.queue.TryWrite(p)
		if err != nil {
			w.done <- err
			return
		}
		if rest != nil {
			w.finished++
			if w.beforeFinish != nil {
				w.beforeFinish()
			}
			w.waits.Store(true)
			rest.Finish(w)
			return // Wrote goes on
		}
	}
	w.done <- nil
}

func (w *tryWriter) Wrote(err error) {
	switch {
	case !w.waits.Swap(false):
		w.t.Error("Wrote is called without a Finish")
	case err != nil:
		w.done <- err
	default:
		w.write()
	}
}

// stalls waits until a write is pending, or all is sent.
func (w *tryWriter) stalls(t *testing.T) {
	t.Helper()
	for start := time.Now(); !w.waits.Load() && len(w.done) == 0; time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("TryWrite neither sends nor leaves anything")
		}
	}
}

// A neighbour is a connection with a Handler whose peer echoes.
type neighbour struct {
	conn *websock.Conn
	*collector
}

// neighbours returns connections, on all event loops if there are any.
func (s Suite) neighbours(t testing.TB) (neighbours []neighbour) {
	for range max(8, 2*runtime.GOMAXPROCS(0)) {
		client, server := s.pair(t, "tcp", websock.Limits{CloseTimeout: 20 * time.Millisecond})
		go echo(server)
		n := neighbour{client, newCollector()}
		setHandler(t, client, n.handler())
		neighbours = append(neighbours, n)
	}
	return neighbours
}

func (n neighbour) echo(t *testing.T) {
	t.Helper()
	if err := n.conn.SendText([]byte("still there")); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, "a neighbour's Handler", n.messages); got != "still there" {
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

// An answerer is a net.Conn that is closed when the peer has closed.
type answerer struct{ net.Conn }

func (a answerer) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	if err == io.EOF {
		a.Close()
	}
	return n, err
}

// frameTo returns a frame as a peer of role sends it. A client's is masked with a key of zeros.
func frameTo(role websock.Role, op websock.Opcode, payload string) []byte {
	h := websock.Header{Fin: true, Opcode: op, Masked: role == websock.Server, Length: int64(len(payload))}
	return append(engine.AppendHeader(nil, h), payload...)
}

// blockHandler gives c a Handler that is handling a message of far when this returns, until release is closed.
// ended gets the error of OnClose.
func blockHandler(t *testing.T, c *websock.Conn, far net.Conn) (release chan<- bool, ended <-chan error) {
	t.Helper()
	entered, released, closed := make(chan bool, 1), make(chan bool), make(chan error, 1)
	setHandler(t, c, websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
		entered <- true
		<-released
	}, func(_ *websock.Conn, err error) { closed <- err }))
	far.Write(frameTo(c.Role(), websock.OpText, "hang"))
	wait(t, "the Handler", entered)
	return released, closed
}

// readMessages reads n messages that a client has sent.
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
	server.SetReadDeadline(time.Now().Add(patience))
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

// pulledAndPushed runs f with connections that Recv receives from, and with such that have a Handler.
func (s Suite) pulledAndPushed(t *testing.T, f func(t *testing.T, begin func(c *websock.Conn))) {
	t.Run("pulled", func(t *testing.T) { f(t, func(*websock.Conn) {}) })
	t.Run("pushed", func(t *testing.T) {
		s.require(t, pusher)
		f(t, func(c *websock.Conn) { setHandler(t, c, newCollector().handler()) })
	})
}

// socketOf returns the connection that carries conn's TLS, or conn if there is none.
func socketOf(conn net.Conn) net.Conn {
	secured, ok := conn.(*stdtls.Conn)
	if !ok {
		return conn
	}
	if conn, ok := tls.NetConn(secured); ok {
		return conn
	}
	return secured.NetConn()
}

// reset closes a TCP connection so that its peer sees a reset. It only closes a stream that
// Suite.Over has returned.
func reset(conn net.Conn) {
	conn = socketOf(conn)
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// A behindWriter is a Receiver that writes behind, then calls after, and closes the connection at the end.
type behindWriter struct {
	conn  transport.Conn
	after func(c transport.Conn)
}

func (w *behindWriter) Readable() error {
	for {
		view, err := w.conn.View()
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err != nil {
			return err
		}
		w.conn.Consume(len(view))
		p := []byte("behind, ")
		w.conn.(transport.Batcher).WriteBehind([]byte("written "), p)
		clear(p)
		w.after(w.conn)
	}
}

func (w *behindWriter) End(error) {}

func (w *behindWriter) Finish() { w.conn.Close() }
