package std

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// Close closes the connection. Only the first call does anything.
func (t *Conn) Close() error {
	err := t.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// CloseWrite ends our direction where the connection can: TCP, Unix sockets, TLS.
func (t *Conn) CloseWrite() error {
	if conn, ok := t.conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}

// Linger discards what the peer still sends until it ends the stream or d has
// passed, and closes.
func (t *Conn) Linger(d time.Duration) error {
	t.deadlines.Lock()
	t.lingering.Store(true)
	err := t.conn.SetReadDeadline(time.Now().Add(d))
	t.deadlines.Unlock()
	discard := buffer.Get(waitSize)
	for err == nil {
		_, err = t.conn.Read(discard.B[:waitSize])
	}
	discard.Put()
	closed := t.Close()
	if timedOut(err) {
		return err
	}
	return closed
}

func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
