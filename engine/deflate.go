package engine

import (
	"sync"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/deflate"
)

// deflating is what compressing remembers between messages. It is under the lock of
// sending, since with takeover messages have to leave in the order in which they were
// compressed.
type deflating struct {
	history    deflate.History // with takeover
	compressed bool            // the fragmented message under way is

	before, after uint64 // for Stats
}

// deflaters are lent for each level and window.
var deflaters [maxLevel + 1][maxWindowBits + 1]sync.Pool

// compresses reports whether a frame is to be compressed. The lock is held.
func (z *compression) compresses(op Opcode, fin bool, n int) bool {
	switch {
	case op.IsControl():
		return false
	case op == OpContinuation:
		return z.out.compressed
	case fin:
		return z.compressesMessage(n)
	}
	return true
}

// compressesMessage reports whether an unfragmented message of n bytes is to be compressed.
func (z *compression) compressesMessage(n int) bool { return n >= z.agreed.Threshold }

// sendDeflated sends a frame compressed, or a message as it is that doesn't become smaller.
// The lock is held.
func (c *Conn) sendDeflated(w *messageWriter, op Opcode, fin bool, p []byte) error {
	s := &c.send
	if err := c.makeWay(len(p)); err != nil {
		return err
	}
	most := deflate.Bound(len(p))
	if most > pieceSize {
		c.takeTurn()
	}
	if err := s.admit(w, op, fin, p); err != nil {
		return err
	}
	s.count(op, fin, len(p))
	out := buffer.Get(most)
	defer out.Put()
	rsv, p := c.compression().compress(out, op, fin, p)
	return c.sendAdmitted(op, fin, rsv, p)
}

// compress returns the payload of a frame that was admitted, and its reserved bits: p compressed
// in out, or p itself if that is a whole message that doesn't become smaller. The lock is held.
func (z *compression) compress(out *buffer.Buffer, op Opcode, fin bool, p []byte) (rsv uint8, payload []byte) {
	z.agreed.deflate(out, fin, p, &z.out.history)
	if op.startsMessage() {
		if fin && len(out.B) >= len(p) {
			return 0, p
		}
		rsv = rsv1
		z.out.compressed = !fin
	}
	z.sent(p, len(out.B))
	return rsv, out.B
}

// sent notes that p was compressed to size bytes. The lock is held.
func (z *compression) sent(p []byte, size int) {
	z.out.before += uint64(len(p))
	z.out.after += uint64(size)
	if z.agreed.SendTakeover {
		z.out.history.Append(p)
	}
}

// deflate compresses payload to out, which may refer to what came before it. The end of a
// message lacks its tail (RFC 7692 section 7.2.1).
func (c *Compression) deflate(out *buffer.Buffer, fin bool, p []byte, before *deflate.History) {
	pool := &deflaters[c.Level][c.SendWindowBits]
	d, ok := pool.Get().(*deflate.Deflater)
	if !ok {
		d = deflate.NewDeflater(c.Level, c.SendWindowBits)
	}
	defer pool.Put(d)
	out.B = d.Deflate(out.B, p, before)
	if fin {
		out.B = out.B[:len(out.B)-len(deflate.Tail)]
	}
}
