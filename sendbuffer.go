package websock

import (
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// A SendBuffer is memory from Reserve for the payload of one frame. Sending it copies nothing: the
// header is written in front of the payload, which is masked in place. A SendBuffer belongs to one
// goroutine at a time. It must be sent or released once, which also invalidates its copies.
type SendBuffer struct {
	c    *Conn
	b    *buffer.Buffer // engine.MaxHeaderSize bytes for the header, then the payload
	loan uint32         // number of the loan of b
}

// Reserve returns a buffer for a frame with up to n bytes of payload. It may be called from any
// goroutine. The error is that of a send.
func (c *Conn) Reserve(n int) (SendBuffer, error) {
	if n < 0 {
		return SendBuffer{}, ErrSendBuffer
	}
	c.batch.mu.Lock()
	err := c.closing().SendErr()
	c.batch.mu.Unlock()
	if err != nil {
		return SendBuffer{}, err
	}
	b := buffer.Get(engine.MaxHeaderSize + n)
	b.B = b.B[:engine.MaxHeaderSize+n]
	clear(b.B) // may hold data of other connections
	return SendBuffer{c: c, b: b, loan: b.Loan()}, nil
}

// Bytes returns the memory for the payload: the n bytes given to Reserve, initially zero. It is
// valid until the buffer is sent or released; then Bytes returns nil.
func (sb *SendBuffer) Bytes() []byte {
	if sb.b == nil || sb.b.Loan() != sb.loan {
		return nil
	}
	return sb.b.B[engine.MaxHeaderSize:len(sb.b.B):len(sb.b.B)]
}

// SendText sends the first n bytes as one text message. Whatever it returns, the buffer is no
// longer valid. See Conn.SendText.
func (sb *SendBuffer) SendText(n int) error { return sb.SendFrame(OpText, true, n) }

// SendBinary sends the first n bytes as one binary message. Whatever it returns, the buffer is no
// longer valid. See Conn.SendBinary.
func (sb *SendBuffer) SendBinary(n int) error { return sb.SendFrame(OpBinary, true, n) }

// SendFrame sends the first n bytes as one frame. Whatever it returns, the buffer is no longer
// valid. See Conn.SendFrame.
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

// Release returns the buffer without sending it. After a send it does nothing.
func (sb *SendBuffer) Release() {
	if b := sb.claim(); b != nil {
		b.Put()
	}
}

// claim invalidates sb and its copies and returns the buffer, or nil if one of them was sent or
// released before.
func (sb *SendBuffer) claim() *buffer.Buffer {
	b := sb.b
	sb.b = nil
	if b == nil || !b.EndLoan(sb.loan) {
		return nil
	}
	return b
}

// sendReserved sends a frame whose payload is in b, after room for the header.
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
	w.ensureCounts().countSent(op, fin, n)
	w.write(c, b, frame[start:], nil)
	return c.writeUnownedLocked()
}
