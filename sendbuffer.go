package websock

import (
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// A SendBuffer is memory lent by Reserve for the payload of one frame. The header
// goes in front and the payload is masked in place, so that nothing is copied.
// One goroutine at a time uses it. It must be sent or released, once: copies of a
// SendBuffer are used up together.
type SendBuffer struct {
	c    *Conn
	b    *buffer.Buffer // engine.MaxHeaderSize bytes of room, then the payload
	loan uint32         // of b
}

// Reserve lends a buffer for a frame with up to n bytes of payload. It may be
// called from any goroutine. The error is that of a send.
func (c *Conn) Reserve(n int) (SendBuffer, error) {
	if n < 0 {
		return SendBuffer{}, ErrSendBuffer
	}
	c.batch.mu.Lock()
	err := c.closing.SendErr()
	c.batch.mu.Unlock()
	if err != nil {
		return SendBuffer{}, err
	}
	b := buffer.Get(engine.MaxHeaderSize + n)
	b.B = b.B[:engine.MaxHeaderSize+n]
	clear(b.B) // others have used it
	return SendBuffer{c: c, b: b, loan: b.Loan()}, nil
}

// Bytes returns the memory to write the payload to, n bytes as given to Reserve, all of them
// zero at first; nil after it was sent or released. It is valid until then.
func (sb *SendBuffer) Bytes() []byte {
	if sb.b == nil || sb.b.Loan() != sb.loan {
		return nil
	}
	return sb.b.B[engine.MaxHeaderSize:len(sb.b.B):len(sb.b.B)]
}

// SendText sends the first n bytes as one text message. The buffer is used up,
// whatever is returned. See Conn.SendText.
func (sb *SendBuffer) SendText(n int) error { return sb.SendFrame(OpText, true, n) }

// SendBinary sends the first n bytes as one binary message. The buffer is used
// up, whatever is returned. See Conn.SendBinary.
func (sb *SendBuffer) SendBinary(n int) error { return sb.SendFrame(OpBinary, true, n) }

// SendFrame sends the first n bytes as one frame. The buffer is used up, whatever
// is returned. See Conn.SendFrame.
func (sb *SendBuffer) SendFrame(op Opcode, fin bool, n int) error {
	b := sb.claim()
	if b == nil {
		return ErrSendBuffer
	}
	defer b.Put()
	if n < 0 || n > len(b.B)-engine.MaxHeaderSize {
		return ErrSendBuffer
	}
	return sb.c.sendReserved(op, fin, b, n)
}

// Release gives the buffer back unsent. After a send it does nothing.
func (sb *SendBuffer) Release() {
	if b := sb.claim(); b != nil {
		b.Put()
	}
}

// take uses the buffer up and returns it, or nil if it was used up before, by a copy perhaps.
func (sb *SendBuffer) claim() *buffer.Buffer {
	b := sb.b
	sb.b = nil
	if b == nil || !b.EndLoan(sb.loan) {
		return nil
	}
	return b
}

// sendReserved sends a frame whose payload stands in b behind room for the header.
func (c *Conn) sendReserved(op Opcode, fin bool, b *buffer.Buffer, n int) error {
	payload := b.B[engine.MaxHeaderSize : engine.MaxHeaderSize+n]
	w := &c.batch
	if err := checkText(op, fin, payload); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.enc.Compresses(op, fin, n) {
		return c.sendDeflatedLocked(nil, op, fin, payload)
	}
	if err := w.waitForQuota(c, n); err != nil {
		return c.quotaErrLocked(err)
	}
	if w.gathers() && n <= pieceSize {
		if err := c.acceptLocked(nil, op, fin, payload); err != nil {
			return err
		}
		c.encodeLocked(op, fin, payload)
		return c.commitLocked()
	}
	w.awaitIdle(c)
	if err := c.acceptLocked(nil, op, fin, payload); err != nil {
		return err
	}
	frame := b.B[:engine.MaxHeaderSize+n]
	start := c.enc.PutHeader(frame, c.newKey(b), op, fin)
	w.countSent(op, fin, n)
	w.write(c, b, frame[start:], nil)
	return c.writeUnownedLocked()
}
