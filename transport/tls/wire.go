package tls

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// A wire is what a tls.Conn reads from and writes to: the net.Conn on which the
// handshake is done, and from the switch on a carrier.
//
// crypto/tls makes any error of a read or a write final, save for a read's net.Error
// that is Temporary and not wrapped. So a carrier that has nothing yet looks like a
// read deadline that has passed, and a write never fails: an answer to a key update
// that could not be written would keep the keys for reading from being changed. What
// became of writes is told by flush.
type wire struct {
	conn    net.Conn       // until the switch
	carrier transport.Conn // nil until then

	// Of the goroutine that reads.
	cause error // what the carrier said when it last had no bytes

	mu        sync.Mutex     // of what follows, but dry and unread. Not held while the carrier writes
	records   *buffer.Buffer // gathered, not given to the carrier yet
	late      *late          // nil: nobody had to wait
	err       error          // why the carrier gets no more
	underWay  uint32         // bytes that the carrier is being given
	since     uint32         // bytes gathered since the last answer
	answers   uint16         // that wait for the peer
	writing   bool           // somebody gives the carrier records, and takes along what gathers
	gathering bool           // records wait for flush
	ended     bool           // our direction: nothing more is gathered
	closing   bool           // the carrier is about to be closed

	dry    bool        // of who reads: the carrier isn't asked, only what the tls.Conn has counts
	unread atomic.Bool // answers wait, too many of them
}

// wireOf returns what conn reads from and writes to, if it was made here, its handshake
// is complete, and it was not switched yet.
func wireOf(conn *tls.Conn) (*wire, bool) {
	w, ok := conn.NetConn().(*wire)
	if !ok || w.carrier != nil || !conn.ConnectionState().HandshakeComplete {
		return nil, false
	}
	return w, true
}

// switchTo makes c carry the records from now on.
func (w *wire) switchTo(c transport.Conn) { w.conn, w.carrier = nil, c }

func (w *wire) Read(p []byte) (int, error) {
	switch {
	case w.carrier == nil:
		return w.conn.Read(p)
	case w.dry:
		return 0, os.ErrDeadlineExceeded
	}
	n, err := w.carrier.Read(p)
	if n > 0 {
		return n, nil // an error comes again
	}
	w.cause = err
	if _, sending := err.(*transport.SendError); sending || err == transport.ErrWouldBlock || errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, os.ErrDeadlineExceeded
	}
	return 0, err
}

// Write takes one or more whole records. It never waits for the peer: the tls.Conn is locked.
func (w *wire) Write(p []byte) (int, error) {
	if w.carrier == nil {
		return w.conn.Write(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gathering {
		w.add(p)
	} else {
		w.answer(p)
	}
	return len(p), nil
}

// NetConn returns the connection underneath before the switch, and then nil.
func (w *wire) NetConn() net.Conn { return w.conn }

func (w *wire) Close() error {
	if w.carrier == nil {
		return w.conn.Close()
	}
	return w.carrier.Close()
}

func (w *wire) LocalAddr() net.Addr {
	if w.carrier == nil {
		return w.conn.LocalAddr()
	}
	return w.carrier.LocalAddr()
}

func (w *wire) RemoteAddr() net.Addr {
	if w.carrier == nil {
		return w.conn.RemoteAddr()
	}
	return w.carrier.RemoteAddr()
}

// The deadlines of a carrier are set by Conn. Those that a tls.Conn sets by itself, around
// its close_notify, would end what is queued.

func (w *wire) SetDeadline(t time.Time) error {
	if w.carrier == nil {
		return w.conn.SetDeadline(t)
	}
	return nil
}

func (w *wire) SetReadDeadline(t time.Time) error {
	if w.carrier == nil {
		return w.conn.SetReadDeadline(t)
	}
	return nil
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.carrier == nil {
		return w.conn.SetWriteDeadline(t)
	}
	return nil
}
