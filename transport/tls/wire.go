package tls

import (
	"crypto/tls"
	"errors"
	"net"
	"os"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

var _ socket.TLSWire = (*wire)(nil)

// A wire is the net.Conn that a tls.Conn reads from and writes to. It is backed by the net.Conn on
// which the handshake takes place, and after switchTo by the inner transport.
//
// A tls.Conn takes every error of a read or a write as final, except that of a read if it is a
// net.Error, Temporary, and not wrapped. Therefore "nothing to read yet" is reported to it as an
// expired read deadline. A write never fails: if the reply to a key update could not be written,
// the tls.Conn would not change the keys for reading either. Errors of writes are returned by the
// recordWriter's flush instead.
type wire struct {
	conn net.Conn // nil after switchTo
	out  recordWriter

	// Of the goroutine that reads.
	readErr      error // what inner returned when it last had no bytes
	bufferedOnly bool  // the tls.Conn may return what it has buffered, and not read more
}

// wireOf returns the wire under conn if conn was made by this package, has completed its handshake,
// and has not been moved.
func wireOf(conn *tls.Conn) (*wire, bool) {
	w, ok := conn.NetConn().(*wire)
	if !ok || w.moved() || !conn.ConnectionState().HandshakeComplete {
		return nil, false
	}
	return w, true
}

// switchTo makes inner carry the records from now on.
func (w *wire) switchTo(inner transport.Conn) { w.conn, w.out.inner = nil, inner }

// moved reports whether switchTo was called.
func (w *wire) moved() bool { return w.out.inner != nil }

func (w *wire) Read(p []byte) (int, error) {
	switch {
	case !w.moved():
		return w.conn.Read(p)
	case w.bufferedOnly:
		return 0, os.ErrDeadlineExceeded
	}
	n, err := w.out.inner.Read(p)
	if n > 0 {
		return n, nil // the next read returns the error again
	}
	w.readErr = err
	if _, sending := err.(*transport.SendError); sending || err == transport.ErrWouldBlock || errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, os.ErrDeadlineExceeded
	}
	return 0, err
}

// Write takes one or more whole records. It never waits for the peer, because the tls.Conn is
// locked meanwhile.
func (w *wire) Write(p []byte) (int, error) {
	if !w.moved() {
		return w.conn.Write(p)
	}
	w.out.write(p)
	return len(p), nil
}

// BelowTLS implements socket.TLSWire. It returns nil after switchTo.
func (w *wire) BelowTLS() net.Conn { return w.conn }

// Close is called by the tls.Conn, which a server such as net/http's may close while the inner
// transport lingers. Then that closes itself, so that the peer receives what was sent.
func (w *wire) Close() error {
	switch {
	case !w.moved():
		return w.conn.Close()
	case w.out.lingers():
		return nil
	}
	return w.out.inner.Close()
}

func (w *wire) LocalAddr() net.Addr {
	if w.moved() {
		return w.out.inner.LocalAddr()
	}
	return w.conn.LocalAddr()
}

func (w *wire) RemoteAddr() net.Addr {
	if w.moved() {
		return w.out.inner.RemoteAddr()
	}
	return w.conn.RemoteAddr()
}
