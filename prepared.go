package websock

import (
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// A PreparedMessage is a message to be sent over many connections. Its text is validated
// once, its frame is built once, and it is compressed once for each combination of
// Compression.Level and SendWindowBits that the connections have agreed on. It can be used
// by any number of goroutines at once, and any number of times.
type PreparedMessage struct {
	op    Opcode
	plain preparedFrame

	mu       sync.Mutex                      // held while compressing
	deflated atomic.Pointer[preparedVariant] // a list, the latest first
}

// A preparedFrame is a frame as a server sends it. Its bytes are never changed.
type preparedFrame struct {
	rsv     uint8
	bytes   []byte
	payload []byte // the end of bytes
}

// A preparedVariant is a message as connections with one setting of compression send it.
type preparedVariant struct {
	level, windowBits int
	frame             *preparedFrame
	next              *preparedVariant
}

// NewPreparedMessage prepares a message of op, OpText or OpBinary, with a copy of p as its
// payload. Errors are ErrFrameOrder for another opcode, and ErrInvalidUTF8.
func NewPreparedMessage(op Opcode, p []byte) (*PreparedMessage, error) {
	switch {
	case !op.StartsMessage():
		return nil, ErrFrameOrder
	case op == OpText && !utf8.Valid(p):
		return nil, ErrInvalidUTF8
	}
	return &PreparedMessage{op: op, plain: newPreparedFrame(op, 0, p)}, nil
}

func newPreparedFrame(op Opcode, rsv uint8, p []byte) preparedFrame {
	b := engine.NewEncoder(Server, nil).AppendFrame(nil, [4]byte{}, op, true, rsv, p)
	return preparedFrame{rsv: rsv, bytes: b, payload: b[len(b)-len(p):]}
}

// Opcode returns the kind of the message, OpText or OpBinary.
func (pm *PreparedMessage) Opcode() Opcode { return pm.op }

// Payload returns the payload as it was given to NewPreparedMessage. It must not be changed.
func (pm *PreparedMessage) Payload() []byte { return pm.plain.payload }

// SendPrepared sends a message that was prepared for many connections. A server writes the
// bytes that all its connections share; a client copies and masks them, each time with a new
// key (RFC 6455 section 5.3). It allocates nothing once the message has been sent with this
// connection's setting of compression. It may be called from any goroutine. Errors are those
// of SendBinary.
//
// A compressed message doesn't refer to earlier ones, since every connection has others. So
// where Compression.SendTakeover was agreed it may be longer than what SendText would send;
// later messages refer to it as to any other.
func (c *Conn) SendPrepared(pm *PreparedMessage) error {
	if !pm.op.StartsMessage() { // it is not of NewPreparedMessage
		return ErrFrameOrder
	}
	n := len(pm.plain.payload)
	frame := &pm.plain
	w := &c.batch
	if c.enc.CompressesMessage(n) {
		frame = pm.deflatedFor(c.enc.Deflate().Agreed())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.waitForQuota(c, len(frame.payload)); err != nil {
		return c.quotaErrLocked(err)
	}
	if len(frame.payload) > pieceSize {
		w.awaitIdle(c)
	}
	if err := c.acceptLocked(nil, pm.op, true, nil); err != nil {
		return err
	}
	w.countSent(pm.op, true, n)
	if frame.rsv != 0 {
		c.enc.Compressed(pm.plain.payload, len(frame.payload))
	}
	if c.Role() == Client || w.gathers() || w.state == writerBusy || w.pending != nil {
		return c.sendAcceptedLocked(pm.op, true, frame.rsv, frame.payload)
	}
	vec := buffer.Get(0)
	defer vec.Put()
	w.write(c, vec, frame.bytes, nil)
	return c.writeUnownedLocked()
}

// deflatedFor returns the frame for connections that agreed on this, which is the plain one
// if compressing doesn't make it smaller.
func (pm *PreparedMessage) deflatedFor(agreed *Compression) *preparedFrame {
	if frame := pm.findDeflated(agreed); frame != nil {
		return frame
	}
	pm.mu.Lock()
	defer pm.mu.Unlock()
	if frame := pm.findDeflated(agreed); frame != nil {
		return frame
	}
	frame := &pm.plain
	out := buffer.Get(engine.CompressedBound(len(pm.plain.payload)))
	defer out.Put()
	out.B = agreed.AppendCompressed(out.B, pm.plain.payload)
	if len(out.B) < len(pm.plain.payload) {
		smaller := newPreparedFrame(pm.op, engine.RSV1, out.B)
		frame = &smaller
	}
	pm.deflated.Store(&preparedVariant{
		level:      agreed.Level,
		windowBits: agreed.SendWindowBits,
		frame:      frame,
		next:       pm.deflated.Load(),
	})
	return frame
}

func (pm *PreparedMessage) findDeflated(agreed *Compression) *preparedFrame {
	for v := pm.deflated.Load(); v != nil; v = v.next {
		if v.level == agreed.Level && v.windowBits == agreed.SendWindowBits {
			return v.frame
		}
	}
	return nil
}
