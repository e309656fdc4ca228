package websocket

import (
	"encoding/json"
	"io"
	"time"

	"github.com/seed004e8d11/websock"
)

// readState belongs to the goroutine that reads.
type readState struct {
	limit   int64 // of a message; 0: none
	onPing  func(string) error
	onPong  func(string) error
	onClose func(int, string) error

	failed error          // of the first read that has failed; it is returned again
	open   *messageReader // the message that is being read, or nil
}

// noMessage is the type of a message that was not read.
const noMessage = -1

// handle calls a function for a ping or a pong, unless one has failed before. If it fails, the read
// that is under way ends.
func (c *Conn) handle(h func(string) error, payload string) {
	if c.reads.failed != nil {
		return
	}
	if c.reads.failed = h(payload); c.reads.failed != nil {
		c.ws.SetRecvDeadline(time.Unix(1, 0))
	}
}

// pingReceived calls the function of SetPingHandler for a ping, which was answered.
func (c *Conn) pingReceived(payload string) {
	c.mu.Lock()
	c.writes.answered, c.writes.ping = true, payload
	c.mu.Unlock()
	c.handle(c.reads.onPing, payload)
	c.mu.Lock()
	c.writes.answered, c.writes.ping = false, ""
	c.mu.Unlock()
}

// SetReadLimit sets the largest size in bytes of a message; 0 means no limit. The peer that sends a
// larger one gets close code 1009, and the read returns ErrReadLimit.
func (c *Conn) SetReadLimit(limit int64) { c.reads.limit = max(limit, 0) }

// SetPingHandler sets the function that is called with the payload of each ping, while something
// reads. The ping was answered before. If h returns an error, the read returns it, too, and so do
// later ones. nil: no function.
func (c *Conn) SetPingHandler(h func(appData string) error) {
	if h == nil {
		h = func(string) error { return nil }
	}
	c.reads.onPing = h
}

// SetPongHandler sets the function that is called with the payload of each pong, while something
// reads. If h returns an error, the read returns it, too, and so do later ones. nil: no function.
func (c *Conn) SetPongHandler(h func(appData string) error) {
	if h == nil {
		h = func(string) error { return nil }
	}
	c.reads.onPong = h
}

// PingHandler returns the function that SetPingHandler has set, or one that does nothing.
func (c *Conn) PingHandler() func(appData string) error { return c.reads.onPing }

// PongHandler returns the function that SetPongHandler has set, or one that does nothing.
func (c *Conn) PongHandler() func(appData string) error { return c.reads.onPong }

// CloseHandler returns the function that SetCloseHandler has set, or one that does nothing.
func (c *Conn) CloseHandler() func(code int, text string) error { return c.reads.onClose }

// SetCloseHandler sets the function that is called with the code and the text of the peer's close
// frame, by the read that has received it. The frame was answered before with its code. If h
// returns an error, the read returns it in place of a *CloseError. nil: no function.
func (c *Conn) SetCloseHandler(h func(code int, text string) error) {
	if h == nil {
		h = func(int, string) error { return nil }
	}
	c.reads.onClose = h
}

// NextReader skips what is left of the message before, waits for the next message, and returns its
// type, TextMessage or BinaryMessage, and a reader of its payload. Once NextReader, or a read, has
// returned an error other than io.EOF, all later ones return the same error.
func (c *Conn) NextReader() (messageType int, r io.Reader, err error) {
	if c.reads.open != nil {
		c.reads.open.skipped = true
		io.Copy(io.Discard, c.reads.open) // an error is returned below
	}
	m := &messageReader{c: c}
	c.reads.open = m
	h, _ := m.receive(nil)
	if c.reads.failed != nil {
		return noMessage, nil, c.reads.failed
	}
	return int(h.Opcode), m, nil
}

// ReadMessage reads the next message.
func (c *Conn) ReadMessage() (messageType int, p []byte, err error) {
	messageType, r, err := c.NextReader()
	if err != nil {
		return messageType, nil, err
	}
	p, err = io.ReadAll(r)
	return messageType, p, err
}

// ReadJSON reads the next message and decodes it into the value that v points to, as json.Decoder
// does. An empty message is io.ErrUnexpectedEOF.
func (c *Conn) ReadJSON(v any) error {
	_, r, err := c.NextReader()
	if err != nil {
		return err
	}
	err = json.NewDecoder(r).Decode(v)
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A messageReader reads the payload of one message.
type messageReader struct {
	c          *Conn
	size       int64 // bytes of payload received
	begun      bool  // its first header has come
	compressed bool
	ended      bool
	skipped    bool // it is not read to the end, and so not limited
}

func (m *messageReader) Read(p []byte) (int, error) {
	reads := &m.c.reads
	for {
		switch {
		case m.ended || reads.open != m:
			return 0, io.EOF
		case reads.failed != nil:
			return 0, reads.failed
		case len(p) == 0:
			return 0, nil
		}
		if _, n := m.receive(p); n > 0 && reads.failed == nil {
			return n, nil
		}
	}
}

// receive receives payload of the message into p, or only the header of its first frame if p is
// empty. If that fails, or a handler or the limit has something against it, it sets failed.
func (m *messageReader) receive(p []byte) (h websock.Header, n int) {
	reads := &m.c.reads
	for reads.failed == nil {
		if m.c.readDeadlinePassed() {
			reads.failed = websock.ErrTimeout
			break
		}
		var err error
		h, n, err = m.c.ws.Recv(p)
		switch {
		case reads.failed != nil: // a handler has failed
		case err != nil:
			reads.failed = m.c.readError(err)
		case h.Opcode != websock.OpNone:
			m.account(&h, n)
			return h, n
		}
	}
	return h, 0
}

// account takes note of n bytes of payload of the frame with the header h.
func (m *messageReader) account(h *websock.Header, n int) {
	const rsv1 = 4
	m.compressed = m.compressed || !m.begun && h.Rsv&rsv1 != 0
	m.begun = true
	m.size += int64(n)
	size := m.size
	if !m.compressed {
		size += h.Remaining
	}
	reads := &m.c.reads
	switch {
	case reads.limit > 0 && size > reads.limit && !m.skipped:
		m.c.writeClose(FormatCloseMessage(CloseMessageTooBig, ""), time.Now().Add(writeWait)) // an error doesn't matter any more
		reads.failed = ErrReadLimit
	case h.Fin && h.Remaining == 0:
		m.ended, reads.open = true, nil
	}
}
