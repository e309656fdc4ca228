package std

import (
	"errors"
	"os"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// Close closes the connection. Its error is always nil: whatever happens, the
// connection is closed, and that TLS can't tell a peer that is gone is no failure.
func (t *Conn) Close() error {
	t.conn.Close()
	t.Resume()
	return nil
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
	t.conn.Close()
	if timedOut(err) {
		return err
	}
	return nil
}

func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
