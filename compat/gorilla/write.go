package websocket

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/seed004e8d11/websock"
)

// writeState is guarded by the lock of the Conn.
type writeState struct {
	open       io.WriteCloser // the latest writer of NextWriter, or nil
	closed     bool           // Close was called
	answered   bool           // the handler of pings runs; its ping was answered
	ping       string         // payload of that ping
	peerClosed bool           // the peer's close frame was answered
	closing    bool           // the handler of close frames runs; the close frame was answered

	deadline time.Time // of messages
	underWay int       // messages that are being written
	limited  bool      // the connection has the deadline of these
}

var errMessageType = errors.New("websocket: no such type of message")

// WriteMessage writes a message. A text message must be UTF-8. A writer of NextWriter that is still
// open is closed, so its message is sent before.
func (c *Conn) WriteMessage(messageType int, data []byte) error {
	c.closeWriter()
	switch messageType {
	case TextMessage, BinaryMessage, PingMessage:
		c.beginWrite()
		defer c.endWrite()
		return writeError(c.ws.SendFrame(websock.Opcode(messageType), true, data))
	case PongMessage:
		if c.isAnswered(data) {
			return writeError(c.ws.Err())
		}
		c.beginWrite()
		defer c.endWrite()
		return writeError(c.ws.SendPong(data))
	case CloseMessage:
		c.mu.Lock()
		deadline := c.writes.deadline
		c.mu.Unlock()
		return c.writeClose(data, deadline)
	}
	return errMessageType
}

// NextWriter returns a writer for the next message, of TextMessage or BinaryMessage. Closing it
// ends the message. A writer that is still open is closed.
func (c *Conn) NextWriter(messageType int) (io.WriteCloser, error) {
	c.closeWriter()
	if messageType != TextMessage && messageType != BinaryMessage {
		return nil, errMessageType
	}
	w, err := c.ws.NextWriter(websock.Opcode(messageType))
	if err != nil {
		return nil, writeError(err)
	}
	w = &messageWriter{c, w}
	c.mu.Lock()
	c.writes.open = w
	c.mu.Unlock()
	return w, nil
}

// closeWriter closes the writer that is open, if there is one.
func (c *Conn) closeWriter() {
	c.mu.Lock()
	w := c.writes.open
	c.writes.open = nil
	c.mu.Unlock()
	if w != nil {
		w.Close() // fails if it is closed
	}
}

// A messageWriter returns the errors of this package.
type messageWriter struct {
	c *Conn
	w io.WriteCloser
}

func (m *messageWriter) Write(p []byte) (int, error) {
	m.c.beginWrite()
	defer m.c.endWrite()
	n, err := m.w.Write(p)
	return n, writeError(err)
}

func (m *messageWriter) Close() error {
	m.c.beginWrite()
	defer m.c.endWrite()
	return writeError(m.w.Close())
}

// beginWrite gives the connection the deadline of messages, until endWrite. Otherwise one that has
// passed would also hold for what WriteControl sends, and end writing.
func (c *Conn) beginWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes.underWay++
	if !c.writes.deadline.IsZero() {
		c.writes.limited = true
		c.ws.SetSendDeadline(c.writes.deadline) // an error means that the connection has ended
	}
}

func (c *Conn) endWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes.underWay--
	if c.writes.underWay == 0 && c.writes.limited {
		c.writes.limited = false
		c.ws.SetSendDeadline(time.Time{})
	}
}

// WriteJSON writes the JSON of v, and a line end, as a text message.
func (c *Conn) WriteJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.WriteMessage(TextMessage, append(text, '\n'))
}

// isAnswered reports whether data is the pong for the ping whose handler runs.
func (c *Conn) isAnswered(data []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes.answered && c.writes.ping == string(data)
}

// writeClose writes a close frame with the payload that FormatCloseMessage returns.
func (c *Conn) writeClose(payload []byte, deadline time.Time) error {
	c.mu.Lock()
	answered := c.writes.closing
	c.mu.Unlock()
	code, reason := websock.CloseNoStatus, ""
	switch {
	case answered:
		return nil
	case len(payload) == 1:
		return websock.ErrCloseCode
	case len(payload) >= 2:
		code, reason = websock.CloseCode(binary.BigEndian.Uint16(payload)), string(payload[2:])
	}
	if !deadline.IsZero() {
		left := time.Until(deadline)
		if left <= 0 {
			return websock.ErrTimeout
		}
		// SendClose replaces a deadline that was set before it.
		defer time.AfterFunc(left, func() { c.ws.SetSendDeadline(deadline) }).Stop()
	}
	return writeError(c.ws.SendClose(code, reason))
}

// writeWait bounds the writing of close frames that aren't written by the program.
const writeWait = time.Second

// awaitClose waits until the close frame that answers the peer's, or says what is wrong with the
// peer, is written, as the program may close the connection next.
func (c *Conn) awaitClose() {
	c.ws.SetSendDeadline(time.Now().Add(writeWait))
	c.ws.Drain(0) // an error means that there is nothing to wait for
}

// A PreparedMessage is encoded once for many connections.
type PreparedMessage struct{ message *websock.PreparedMessage }

// NewPreparedMessage returns a message of TextMessage or BinaryMessage. The data may be changed
// afterwards.
func NewPreparedMessage(messageType int, data []byte) (*PreparedMessage, error) {
	message, err := websock.NewPreparedMessage(websock.Opcode(messageType), data)
	if err != nil {
		return nil, err
	}
	return &PreparedMessage{message}, nil
}

// WritePreparedMessage writes a message that was prepared. It fails while a writer of NextWriter has
// sent a part of its message.
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	c.beginWrite()
	defer c.endWrite()
	return writeError(c.ws.SendPrepared(pm.message))
}
