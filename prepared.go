package websock

import (
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// A PreparedMessage is a message to send on many connections. Its text is validated once, its frame
// is encoded once, and it is compressed once for each combination of Compression.Level and
// SendWindowBits of the connections. Any number of goroutines may use it at once, any number of
// times.
type PreparedMessage struct {
	op    Opcode
	plain preparedFrame

	mu       sync.Mutex                      // held during compression
	deflated atomic.Pointer[preparedVariant] // a linked list, the latest first
}

// A preparedFrame is a frame as a server sends it. It is immutable.
type preparedFrame struct {
	rsv     uint8
	bytes   []byte
	payload []byte // the end of bytes
}

// A preparedVariant is a message as it is sent on connections with the same compression settings.
type preparedVariant struct {
	level, windowBits int
	frame             *preparedFrame
	next              *preparedVariant
}

// NewPreparedMessage prepares a message of op, OpText or OpBinary, with a copy of p as its payload.
// For another opcode it returns ErrFrameOrder, for text that isn't UTF-8 ErrInvalidUTF8.
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

// Opcode returns OpText or OpBinary.
func (pm *PreparedMessage) Opcode() Opcode { return pm.op }

// Payload returns the payload given to NewPreparedMessage. It must not be changed.
func (pm *PreparedMessage) Payload() []byte { return pm.plain.payload }

// SendPrepared sends a prepared message. A server writes the bytes that all connections share; a
// client copies and masks them with a new key each time (RFC 6455 section 5.3). SendPrepared
// doesn't allocate once the message was sent with the compression settings of this connection. It
// may be called from any goroutine. Errors are those of SendBinary.
//
// A compressed prepared message doesn't refer to earlier messages, since those differ between
// connections. With Compression.SendTakeover it may therefore be larger than SendText would make
// it; later messages can refer to it.
func (c *Conn) SendPrepared(pm *PreparedMessage) error {
	if !pm.op.StartsMessage() { // the zero PreparedMessage
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
	w.ensureCounts().countSent(pm.op, true, n)
	if frame.rsv != 0 {
		c.enc.Compressed(pm.plain.payload, len(frame.payload))
	}
	if !c.writesPreparedLocked() {
		return c.sendAcceptedLocked(pm.op, true, frame.rsv, frame.payload)
	}
	return c.writePreparedLocked(frame)
}

// writesPreparedLocked reports whether a prepared frame is written as it is: a server doesn't mask it,
// and it need not wait, nor become part of a batch.
func (c *Conn) writesPreparedLocked() bool {
	w := &c.batch
	return c.Role() == Server && !w.gathers() && w.state != writerBusy && w.pending == nil
}

// writePreparedLocked writes a prepared frame without a copy.
func (c *Conn) writePreparedLocked(frame *preparedFrame) error {
	vec := buffer.Get(0)
	defer vec.Put()
	c.batch.write(c, vec, frame.bytes, nil)
	return c.writeUnownedLocked()
}

// TrySendPrepared sends a prepared message and never waits, as TrySend does: for messages to many peers
// over a transport that doesn't queue, such as std, where SendPrepared waits for a peer that doesn't
// read. It copies the frame, unless a server writes it at once over a transport that queues. The errors are
// those of TrySend. For many peers at once there is Broadcast.
func (c *Conn) TrySendPrepared(pm *PreparedMessage) error {
	if !pm.op.StartsMessage() { // the zero PreparedMessage
		return ErrFrameOrder
	}
	n := len(pm.plain.payload)
	frame := &pm.plain
	if c.enc.CompressesMessage(n) {
		frame = pm.deflatedFor(c.enc.Deflate().Agreed())
	}
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := c.roomErrLocked(len(frame.payload)); err != nil {
		return err
	}
	if err := c.acceptLocked(nil, pm.op, true, nil); err != nil {
		return err
	}
	w.ensureCounts().countSent(pm.op, true, n)
	if frame.rsv != 0 {
		c.enc.Compressed(pm.plain.payload, len(frame.payload))
	}
	if c.Queues() && c.writesPreparedLocked() {
		return c.writePreparedLocked(frame)
	}
	return c.queueNowLocked(pm.op, frame.rsv, frame.payload)
}

// deflatedFor returns the frame for connections with the negotiated compression: the uncompressed
// one if compression doesn't make it smaller.
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
