package std

import (
	stdtls "crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
)

// What a Conn's life is made of.
const (
	closed   = 1 << iota // Close was called
	handling             // the pump calls the receiver while it holds the descriptor
)

// Close closes the connection now. It doesn't wait for a receiver that is being called: the
// socket is then shut down, and its descriptor is closed when the receiver returns. Nor does it
// wait for the peer: a tls.Conn is closed without an alert. The error is always nil: whatever
// happens, the connection is closed.
func (t *Conn) Close() error {
	switch was := t.life.Or(closed); {
	case was&closed != 0:
		return nil
	case was&handling != 0:
		t.shutdown() // net.Conn's Close would wait for the pump, which closes it in our place
	default:
		closeNow(t.conn)
	}
	t.deadlines.Lock()
	t.nudge()
	t.deadlines.Unlock()
	return nil
}

func (t *Conn) isClosed() bool { return t.life.Load()&closed != 0 }

// beginHandling has Close leave the descriptor to the pump. It returns false after Close, which
// then has done without.
func (t *Conn) beginHandling() bool { return t.life.CompareAndSwap(0, handling) }

// endHandling ends that, and reports whether Close came meanwhile.
func (t *Conn) endHandling() (mustClose bool) { return t.life.And(^uint32(handling))&closed != 0 }

// foreignWait is how long Close waits for the Close of a connection that isn't the system's. Most
// take less, and are closed when ours returns; but they do what they like.
const foreignWait = time.Millisecond

// closeNow closes conn, or has that done.
func closeNow(conn net.Conn) {
	conn = carrierOf(conn)
	if socket.HasDescriptor(conn) { // its Close doesn't wait
		conn.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		conn.Close()
		close(done)
	}()
	wait := time.NewTimer(foreignWait)
	defer wait.Stop()
	select {
	case <-done:
	case <-wait.C:
	}
}

// carrierOf returns the connection below any TLS.
func carrierOf(conn net.Conn) net.Conn {
	for {
		secured, ok := conn.(*stdtls.Conn)
		if !ok {
			return conn
		}
		conn = secured.NetConn()
		if below, ok := conn.(interface{ NetConn() net.Conn }); ok { // that of package transport/tls
			conn = below.NetConn()
		}
	}
}

// notifyTimeout is how long a tls.Conn waits for a peer that takes nothing, not even a
// close_notify.
const notifyTimeout = 50 * time.Millisecond

// CloseWrite ends our direction where the connection can: TCP, Unix sockets, TLS.
func (t *Conn) CloseWrite() error {
	conn, ok := t.conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	if secured, ok := t.conn.(*stdtls.Conn); ok { // which would wait for five seconds
		defer expireWrites(secured.NetConn())()
	}
	return conn.CloseWrite()
}

// expireWrites ends writes to conn that take long, again and again: one under way, for which a
// close_notify has to wait, and then that of the close_notify, for which a tls.Conn sets a
// deadline of its own.
func expireWrites(conn net.Conn) (stop func()) {
	done := make(chan struct{})
	go func() {
		late := time.NewTicker(notifyTimeout)
		defer late.Stop()
		for {
			select {
			case <-late.C:
				conn.SetWriteDeadline(time.Unix(1, 0))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// Linger discards what the peer still sends until it ends the stream or d has
// passed, and closes.
func (t *Conn) Linger(d time.Duration) error {
	end := time.Now().Add(d)
	t.deadlines.Lock()
	t.lingering.Store(true)
	err := t.conn.SetReadDeadline(end)
	t.deadlines.Unlock()
	if !socket.HasDescriptor(t.conn) {
		err = nil
		cut := time.AfterFunc(d, func() { t.Close() }) // it may have no deadlines
		defer cut.Stop()
	}
	if _, ok := t.conn.(*stdtls.Conn); ok {
		t.CloseWrite() // that it can't be sent doesn't matter
	}
	discard := buffer.Get(waitSize)
	for err == nil {
		_, err = t.conn.Read(discard.B[:waitSize])
	}
	discard.Put()
	t.Close()
	if timedOut(err) || !errors.Is(err, io.EOF) && !time.Now().Before(end) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
