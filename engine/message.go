package engine

import (
	"io"
	"slices"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// RecvMessage receives a whole message, appends it to dst and returns its opcode
// (text or binary) and the extended slice. dst grows as the payload comes, up to
// Limits.MessageSize.
//
// After ErrTimeout the result holds the part that came: pass it as dst of the
// next call to go on. Other errors are those of Recv.
func (c *Conn) RecvMessage(dst []byte) (Opcode, []byte, error) {
	if err := c.beginPull(); err != nil {
		return OpNone, dst, err
	}
	for {
		var h Header
		n, err := c.recv(&h, dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err != nil:
			return c.receive.dec.message, dst, err
		case h.Opcode == OpNone:
		case h.Fin && h.Remaining == 0:
			return c.receive.dec.message, dst, nil
		default:
			dst = makeRoom(dst, h.Remaining)
		}
	}
}

// makeRoom grows a message's buffer for the rest of a frame. What a peer only
// declares isn't allocated at once.
func makeRoom(dst []byte, remaining int64) []byte {
	const (
		least = 512
		most  = 1 << 20
	)
	room := cap(dst) - len(dst)
	if room > 0 && int64(room) >= min(remaining, most) {
		return dst
	}
	return slices.Grow(dst, int(max(min(remaining, most), least)))
}

// NextReader waits for the next message and returns its opcode (text or binary)
// and a reader of its payload, all fragments, which ends with io.EOF. What was
// left of the message before is skipped. The reader is valid until the next call
// of NextReader, and like it belongs to the goroutine that receives; after a Read
// returned ErrTimeout, reading can go on. Errors are those of Recv.
func (c *Conn) NextReader() (Opcode, io.Reader, error) {
	if err := c.beginPull(); err != nil {
		return OpNone, nil, err
	}
	m := &c.receive.reader
	m.c = c
	if err := m.skip(); err != nil {
		return OpNone, nil, err
	}
	for {
		h, _, err := c.Recv(nil)
		if err != nil {
			return OpNone, nil, err
		}
		if h.Opcode != OpNone {
			m.open = !(h.Fin && h.Remaining == 0)
			return c.receive.dec.message, m, nil
		}
	}
}

// A messageReader reads the payload of one message.
type messageReader struct {
	c    *Conn
	open bool // there is more of the message
}

func (m *messageReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for m.open {
		var h Header
		n, err := m.c.recv(&h, p)
		if err != nil {
			return n, err
		}
		if h.Opcode != OpNone && h.Fin && h.Remaining == 0 {
			m.open = false
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// skip discards the rest of the message.
func (m *messageReader) skip() error {
	if !m.open {
		return nil
	}
	discard := buffer.Get(directSize)
	defer discard.Put()
	for m.open {
		if _, err := m.Read(discard.B[:directSize]); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}
