package websocket

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// The kinds of messages (RFC 6455 section 11.8).
const (
	TextMessage   = 1
	BinaryMessage = 2
	CloseMessage  = 8
	PingMessage   = 9
	PongMessage   = 10
)

// A Conn is a WebSocket connection.
//
// One goroutine at a time may call ReadMessage, NextReader, ReadJSON and the readers that
// NextReader returns. Any number of goroutines may write messages, and call Close, WriteControl and
// the methods that set deadlines. A writer of NextWriter belongs to one goroutine, and no other may
// write messages before it is closed. Handlers and the read limit are set before something reads,
// or by the goroutine that reads.
type Conn struct {
	ws           *websock.Conn
	reads        readState
	mu           sync.Mutex // guards the fields below
	writes       writeState
	readDeadline time.Time
}

// newConn returns a Conn whose methods are called by the functions that opening a connection needs.
// ws is set when that is done.
func newConn() *Conn {
	c := &Conn{}
	c.reads.limit = websock.DefaultMessageSize
	c.SetPingHandler(nil)
	c.SetPongHandler(nil)
	c.SetCloseHandler(nil)
	return c
}

// keepAlive has the calls for received pings and pongs.
func (c *Conn) keepAlive() websock.KeepAlive {
	return websock.KeepAlive{
		OnPing: func(_ *websock.Conn, payload []byte) { c.pingReceived(string(payload)) },
		OnPong: func(_ *websock.Conn, payload []byte) { c.handle(c.reads.onPong, string(payload)) },
	}
}

// limits are those of connections: messages are measured by the read limit, which can be changed
// later.
var limits = websock.Limits{MessageSize: -1}

// compression returns what gorilla negotiates.
func compression(enabled bool) websock.Compression {
	if !enabled {
		return websock.Compression{}
	}
	return websock.Compression{Level: 1}
}

// Websock returns the connection of package websock. It must not be received from while a message
// of c was read in part, and has no handler of its own.
func (c *Conn) Websock() *websock.Conn { return c.ws }

// Subprotocol returns the subprotocol that was agreed on, or "".
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// LocalAddr returns the local address.
func (c *Conn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// Close closes the connection without a close frame, and waits for nothing. Reads and writes that
// wait return an error that is net.ErrClosed, as a second Close does.
func (c *Conn) Close() error {
	c.mu.Lock()
	again, closed := c.writes.closed, c.writes.peerClosed
	c.writes.closed = true
	c.mu.Unlock()
	if again {
		return net.ErrClosed
	}
	if closed && c.ws.Role() == websock.Server {
		c.ws.Close() // has nothing to wait for; over HTTP/2, Abort would discard what the peer has not read
	}
	c.ws.Abort(nil)
	return nil
}

// SetReadDeadline sets the time after which reads fail, even if more has arrived; the zero time means
// never. A read that has failed for that fails again, also with a later deadline.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readDeadline = t
	return c.ws.SetRecvDeadline(t)
}

// readDeadlinePassed reports whether the time of SetReadDeadline has passed.
func (c *Conn) readDeadlinePassed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.readDeadline.IsZero() && !time.Now().Before(c.readDeadline)
}

// SetWriteDeadline sets the time after which writes of messages fail that begin after the call; the
// zero time means never. A write that has failed for that ends writing. It is not the deadline of
// WriteControl, of the answers to pings and of those to close frames.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes.deadline = t
	return nil
}

// WriteControl writes a ping, a pong or a close message of at most 125 bytes. If it can't be
// written before the deadline, because others are being written, it returns an error that is a
// timeout, and nothing is written. A close message that reaches its deadline ends writing. The zero
// time means no deadline, but 5 seconds for a close message. It may be called from any goroutine.
func (c *Conn) WriteControl(messageType int, data []byte, deadline time.Time) error {
	switch {
	case messageType != CloseMessage && messageType != PingMessage && messageType != PongMessage:
		return errMessageType
	case len(data) > 125:
		return websock.ErrControlTooLong
	case !deadline.IsZero() && !time.Now().Before(deadline):
		return websock.ErrTimeout
	case messageType == CloseMessage:
		return c.writeClose(data, deadline)
	case messageType == PongMessage && c.isAnswered(data):
		return writeError(c.ws.Err())
	}
	ctx := context.Background()
	if !deadline.IsZero() {
		var cancel func()
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	err := c.ws.SendContext(ctx, websock.Opcode(messageType), data)
	if errors.Is(err, context.DeadlineExceeded) {
		return websock.ErrTimeout
	}
	return writeError(err)
}
