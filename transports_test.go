package websock

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// A scriptTransport delivers the chunks one at a time and records what is written. An empty chunk
// is a timeout. After the last chunk comes err.
type scriptTransport struct {
	chunks [][]byte
	err    error // nil: io.EOF
	view   []byte

	mu       sync.Mutex
	out      []byte
	writes   int
	reads    int
	consumed int
	writeErr error
	closed   bool
	lingered bool

	readDeadline, writeDeadline time.Time
	receiver                    transport.Receiver
	readable                    bool // the next chunk has arrived
}

func (s *scriptTransport) next() ([]byte, error) {
	s.reads++
	if s.receiver != nil {
		if !s.readable {
			return nil, transport.ErrWouldBlock
		}
		s.readable = false
	}
	if len(s.chunks) == 0 {
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	}
	chunk := s.chunks[0]
	s.chunks = s.chunks[1:]
	if len(chunk) == 0 {
		return nil, os.ErrDeadlineExceeded
	}
	return chunk, nil
}

func (s *scriptTransport) View() ([]byte, error) {
	if len(s.view) > 0 {
		return s.view, nil
	}
	var err error
	s.view, err = s.next()
	return s.view, err
}

func (s *scriptTransport) Consume(n int) {
	s.consumed += n
	s.view = s.view[n:]
}

func (s *scriptTransport) Read(p []byte) (int, error) {
	chunk, err := s.next()
	n := copy(p, chunk)
	if rest := chunk[n:]; len(rest) > 0 {
		s.chunks = append([][]byte{rest}, s.chunks...)
	}
	return n, err
}

func (s *scriptTransport) Writev(bufs ...[]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeErr != nil {
		return s.writeErr
	}
	s.writes++
	for _, b := range bufs {
		s.out = append(s.out, b...)
	}
	return nil
}

func (s *scriptTransport) Queued() int { return 0 }

func (s *scriptTransport) CloseWrite() error { return nil }

func (s *scriptTransport) TLS() *tls.ConnectionState { return nil }

func (s *scriptTransport) Pause() {}

func (s *scriptTransport) Resume() {}

func (s *scriptTransport) Yield() bool { return false }

func (s *scriptTransport) SetReadDeadline(t time.Time) error { s.readDeadline = t; return nil }

func (s *scriptTransport) SetWriteDeadline(t time.Time) error { s.writeDeadline = t; return nil }

func (s *scriptTransport) LocalAddr() net.Addr { return &net.UnixAddr{Name: "local", Net: "unix"} }

func (s *scriptTransport) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "remote", Net: "unix"} }

func (s *scriptTransport) Close() error { s.closed = true; return nil }

func (s *scriptTransport) Linger(time.Duration) error { s.lingered = true; return nil }

func (s *scriptTransport) Push(r transport.Receiver) error { s.receiver = r; return nil }

// play calls the receiver until it returns an error or there are no more chunks.
func (s *scriptTransport) play() error {
	for {
		s.readable = true
		if err := s.receiver.Readable(); err != nil {
			s.receiver.Finish()
			return err
		}
		if len(s.chunks) == 0 && s.err == nil {
			return nil
		}
	}
}

// A queueTransport queues what is written until let is called.
type queueTransport struct {
	scriptTransport
	moved  *sync.Cond
	queue  []byte
	most   int // bytes ever queued at once
	over   error
	drains int // calls of Drain that are waiting
	calls  int // of Drain in total
}

func (d *queueTransport) Writev(bufs ...[]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over != nil {
		return d.over
	}
	d.writes++
	for _, b := range bufs {
		d.queue = append(d.queue, b...)
	}
	d.most = max(d.most, len(d.queue))
	return nil
}

func (d *queueTransport) Queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)
}

func (d *queueTransport) Queues() bool { return true }

func (d *queueTransport) Unacknowledged() int { return 0 }

func (d *queueTransport) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, d.Writev(p) }

func (d *queueTransport) Drain(_ context.Context, most int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	d.drains++
	defer func() { d.drains-- }()
	for d.over == nil && len(d.queue) > most {
		d.moved.Wait()
	}
	return d.over
}

// let delivers n queued bytes.
func (d *queueTransport) let(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n = min(n, len(d.queue))
	d.out = append(d.out, d.queue[:n]...)
	d.queue = d.queue[n:]
	d.moved.Broadcast()
}

// end discards the queue. Later writes return err.
func (d *queueTransport) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over == nil {
		d.over = err
	}
	d.queue = nil
	d.moved.Broadcast()
}

func (d *queueTransport) Close() error {
	d.end(net.ErrClosed)
	return nil
}

func (d *queueTransport) Linger(time.Duration) error { return d.Close() }

// awaitDrains waits until n calls of Drain are waiting.
func (d *queueTransport) awaitDrains(n int) {
	waitUntil(func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.drains == n
	})
}

func newQueueTransport() *queueTransport {
	d := &queueTransport{}
	d.moved = sync.NewCond(&d.mu)
	return d
}

// A behindTransport is a transport.Batcher whose peer doesn't read until Linger is called.
type behindTransport struct {
	*queueTransport
	behind []byte
}

func (b *behindTransport) Batches() bool { return true }

func (b *behindTransport) WriteBehind(bufs ...[]byte) error {
	for _, p := range bufs {
		b.behind = append(b.behind, p...)
	}
	return nil
}

func (b *behindTransport) Linger(time.Duration) error {
	b.let(len(b.queue))
	return nil
}

// A failingOnceTransport is a queueTransport whose second write fails, and no other. Drain delivers
// everything.
type failingOnceTransport struct {
	*queueTransport
	failed bool
}

func (f *failingOnceTransport) Writev(bufs ...[]byte) error {
	if f.writes == 1 && !f.failed {
		f.failed = true
		return errors.New("broken on purpose")
	}
	return f.queueTransport.Writev(bufs...)
}

func (f *failingOnceTransport) Drain(context.Context, int) error {
	f.let(f.Queued())
	return nil
}

// A stuckTransport accepts room bytes. A write of more waits until the test sends to free.
type stuckTransport struct {
	scriptTransport
	room int
	rest []byte
	free chan error // the result of the waiting write
	ends chan struct{}
	over <-chan struct{} // closed when the test ends
}

func (s *stuckTransport) TryWrite(p []byte) (transport.PendingWrite, error) {
	n := min(s.room, len(p))
	s.room -= n
	s.scriptTransport.Writev(p[:n])
	if n == len(p) {
		return nil, nil
	}
	s.rest = p[n:]
	return s, nil
}

func (s *stuckTransport) Finish(done transport.WriteDone) {
	go func() {
		done.Wrote(s.Writev(s.rest))
	}()
}

func (s *stuckTransport) Queues() bool { return false }

func (s *stuckTransport) Drain(context.Context, int) error { return nil }

func (s *stuckTransport) Unacknowledged() int { return 0 }

func (s *stuckTransport) Close() error { close(s.ends); return nil }

func (s *stuckTransport) Writev(bufs ...[]byte) error {
	select {
	case err := <-s.free:
		if err != nil {
			return err
		}
		return s.scriptTransport.Writev(bufs...)
	case <-s.over:
		return net.ErrClosed
	}
}

// sends waits until want was written.
func (s *stuckTransport) sends(role Role, want string) {
	waitUntil(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return unframe(role, s.out) == want
	})
}

func newStuck(t *testing.T, room int, chunks ...[]byte) (*Conn, *stuckTransport) {
	s := newStuckTransport(t, room, chunks...)
	return NewConn(s, Client, Options{Limits: Limits{PongRate: 1000, CloseTimeout: time.Minute}}), s
}

func newStuckTransport(t *testing.T, room int, chunks ...[]byte) *stuckTransport {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	return &stuckTransport{room: room, free: make(chan error), ends: make(chan struct{}), over: over, scriptTransport: scriptTransport{chunks: chunks}}
}

// A discardTransport delivers the same view and discards what is written.
type discardTransport struct {
	view []byte
	left []byte
}

func (s *discardTransport) View() ([]byte, error) {
	if len(s.left) == 0 {
		return nil, transport.ErrWouldBlock
	}
	return s.left, nil
}

func (s *discardTransport) Consume(n int) { s.left = s.left[n:] }

func (s *discardTransport) Read([]byte) (int, error) { return 0, transport.ErrWouldBlock }

func (s *discardTransport) Writev(...[]byte) error { return nil }

func (s *discardTransport) Queued() int { return 0 }

func (s *discardTransport) CloseWrite() error { return nil }

func (s *discardTransport) Linger(time.Duration) error { return nil }

func (s *discardTransport) TLS() *tls.ConnectionState { return nil }

func (s *discardTransport) Pause() {}

func (s *discardTransport) Resume() {}

func (s *discardTransport) Yield() bool { return false }

func (s *discardTransport) SetReadDeadline(time.Time) error { return nil }

func (s *discardTransport) SetWriteDeadline(time.Time) error { return nil }

func (s *discardTransport) LocalAddr() net.Addr { return nil }

func (s *discardTransport) RemoteAddr() net.Addr { return nil }

func (s *discardTransport) Close() error { return nil }

func (s *discardTransport) Push(transport.Receiver) error { return nil }

// A noCloseTransport is one whose peer never ends the connection.
type noCloseTransport struct{ scriptTransport }

func (s *noCloseTransport) Linger(time.Duration) error {
	s.lingered = true
	return &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
}

// A lingerTransport records what was written when Linger was called.
type lingerTransport struct {
	gatedTransport
	sent []byte
}

func (p *lingerTransport) Linger(time.Duration) error {
	p.sent = p.out
	return nil
}

// A reentrantTransport calls a method of its Conn in Close.
type reentrantTransport struct {
	scriptTransport
	conn *Conn
}

func (r *reentrantTransport) Close() error {
	r.conn.Stats()
	return nil
}

// A closeNotifyTransport closes a channel in Close.
type closeNotifyTransport struct {
	scriptTransport
	once   sync.Once
	closed chan struct{}
}

func (p *closeNotifyTransport) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// A pushErrorTransport has a Push that fails.
type pushErrorTransport struct{ scriptTransport }

func (p *pushErrorTransport) Push(transport.Receiver) error { return errPushless }

// A fixedQueueTransport reports queued and unacknowledged bytes, and returns failure as a SendError
// once.
type fixedQueueTransport struct {
	*scriptTransport
	queued, unacknowledged int
	failure                error
	state                  *tls.ConnectionState
}

func (q *fixedQueueTransport) View() ([]byte, error) {
	if err := q.failure; err != nil {
		q.failure = nil
		return nil, &transport.SendError{Err: err}
	}
	return q.scriptTransport.View()
}

func (q *fixedQueueTransport) Read(p []byte) (int, error) {
	if err := q.failure; err != nil {
		q.failure = nil
		return 0, &transport.SendError{Err: err}
	}
	return q.scriptTransport.Read(p)
}

func (q *fixedQueueTransport) Queued() int { return q.queued }

func (q *fixedQueueTransport) Unacknowledged() int { return q.unacknowledged }

func (q *fixedQueueTransport) Queues() bool { return false }

func (q *fixedQueueTransport) Drain(context.Context, int) error { return nil }

func (q *fixedQueueTransport) TryWrite(p []byte) (transport.PendingWrite, error) {
	return nil, q.Writev(p)
}

func (q *fixedQueueTransport) TLS() *tls.ConnectionState { return q.state }

// A pauseTransport records calls of Pause and Resume.
type pauseTransport struct {
	scriptTransport
	told    []string
	onPause func()
}

func (p *pauseTransport) Pause() {
	if p.onPause != nil {
		p.onPause()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, "pause")
}

func (p *pauseTransport) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, "resume")
}

func (p *pauseTransport) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.told, " ")
}

// A noDeadlineTransport is one whose read deadline can't be set.
type noDeadlineTransport struct{ scriptTransport }

func (u *noDeadlineTransport) SetReadDeadline(time.Time) error { return net.ErrClosed }

// An endlessTransport delivers the same bytes again and again.
type endlessTransport struct {
	scriptTransport
	stream []byte
}

func (e *endlessTransport) View() ([]byte, error) { return e.stream, nil }

func (e *endlessTransport) Consume(int) {}

func (e *endlessTransport) Read(p []byte) (int, error) { return len(p), nil }

func (e *endlessTransport) Writev(bufs ...[]byte) error { return nil }

// A fullTransport reports queued bytes.
type fullTransport struct {
	*scriptTransport
	queued int
}

func (c *fullTransport) Queued() int { return c.queued }

// A gatedTransport makes each write wait until the test receives from begun and sends to free.
type gatedTransport struct {
	scriptTransport
	begun chan struct{}
	free  chan struct{}
}

func (s *gatedTransport) Writev(bufs ...[]byte) error {
	s.begun <- struct{}{}
	<-s.free
	return s.scriptTransport.Writev(bufs...)
}

// A blockedLingerTransport makes Linger wait until the test closes end.
type blockedLingerTransport struct {
	scriptTransport
	lingers, end chan struct{}
}

func (c *blockedLingerTransport) Linger(time.Duration) error {
	close(c.lingers)
	<-c.end
	return nil
}

// An eagerTransport delivers the end of the stream in the same call of Readable as the last bytes.
type eagerTransport struct{ *scriptTransport }

func (e eagerTransport) View() ([]byte, error) {
	e.readable = true
	return e.scriptTransport.View()
}

// A pullOnlyTransport does not implement transport.Pusher.
type pullOnlyTransport struct{ transport.Conn }

// newScripted returns a Conn over a scriptTransport that delivers chunks.
func newScripted(role Role, limits Limits, chunks ...[]byte) (*Conn, *scriptTransport) {
	t := &scriptTransport{chunks: chunks}
	return NewConn(t, role, Options{Limits: limits}), t
}

// waitUntil waits until a condition holds, and panics if that takes too long.
func waitUntil(holds func() bool) {
	for end := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(end) {
			panic("the condition does not hold after a minute")
		}
		time.Sleep(time.Millisecond)
	}
}

// opened returns a Conn over a new queueTransport.
func opened(role Role, limits Limits) (*Conn, *queueTransport) {
	d := newQueueTransport()
	return NewConn(d, role, Options{Limits: limits}), d
}
