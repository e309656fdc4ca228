package engine

import (
	"io"
	"slices"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// RecvMessage receives a whole message, appends it to dst and returns its opcode
// (text or binary) and the extended slice. So msg[:0] uses the memory of an earlier message
// again, and nil makes new memory; with msg itself the messages pile up:
//
//	op, msg, err = c.RecvMessage(msg[:0])
//
// dst grows as the payload comes, up to Limits.MessageSize. In the middle of a message of which
// Recv has received a part it appends the rest.
//
// After ErrTimeout the result holds the part that came: pass it as dst of the
// next call to go on. Other errors are those of Recv.
func (c *Conn) RecvMessage(dst []byte) (Opcode, []byte, error) {
	if err := c.beginRecv(); err != nil {
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
// left of the message before is skipped, whichever call has begun it. The reader belongs
// to the goroutine that receives; after a Read returned ErrTimeout, reading can go on. Until
// its end, other receiving calls return ErrReadOrder. It is valid until the next call of
// NextReader and until SetHandler: then Read returns ErrReadOrder, or ErrHandler, unless it was
// at its end. Errors are those of Recv.
func (c *Conn) NextReader() (Opcode, io.Reader, error) {
	if err := c.beginPull(); err != nil {
		return OpNone, nil, err
	}
	if err := c.skipMessage(); err != nil {
		return OpNone, nil, err
	}
	for {
		h, _, err := c.Recv(nil)
		if err != nil {
			return OpNone, nil, err
		}
		if h.Opcode != OpNone {
			m := &messageReader{c: c, open: !(h.Fin && h.Remaining == 0)}
			c.receive.reader = m
			return c.receive.dec.message, m, nil
		}
	}
}

// skipMessage discards what is left of a message of which a part was received.
func (c *Conn) skipMessage() error {
	r := &c.receive
	if !r.dec.begun() && (r.reader == nil || !r.reader.open) {
		return nil
	}
	m := &messageReader{c: c, open: true}
	r.reader = m
	discard := buffer.Get(directSize)
	defer discard.Put()
	for m.open {
		if _, err := m.Read(discard.B[:directSize]); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// A messageReader reads the payload of one message.
type messageReader struct {
	c    *Conn
	open bool // there is more of the message
}

func (m *messageReader) Read(p []byte) (int, error) {
	r := &m.c.receive
	switch {
	case !m.open:
		return 0, io.EOF
	case r.handler != nil:
		return 0, ErrHandler
	case r.receiving == nil || r.reader != m:
		return 0, ErrReadOrder
	case len(p) == 0:
		return 0, nil
	}
	if err := m.c.beginPull(); err != nil {
		return 0, err
	}
	r.wait.bounded = false
	for m.open {
		var h Header
		n, err := m.c.recvNext(&h, p)
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
