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
		return n >= z.agreed.Threshold
	}
	return true
}

// sendDeflated sends a frame compressed, or a message as it is that doesn't become smaller.
// The lock is held.
func (c *Conn) sendDeflated(op Opcode, fin bool, p []byte) error {
	s := &c.send
	if err := c.makeWay(len(p)); err != nil {
		return err
	}
	most := deflate.Bound(len(p))
	if most > pieceSize {
		c.takeTurn()
	}
	if err := s.admit(op, fin, p); err != nil {
		return err
	}
	s.count(op, fin, len(p))
	out := buffer.Get(most)
	defer out.Put()
	z := c.compression()
	z.deflate(out, fin, p)
	if op.startsMessage() && fin && len(out.B) >= len(p) {
		return c.sendAdmitted(op, fin, 0, p)
	}
	z.out.before += uint64(len(p))
	z.out.after += uint64(len(out.B))
	if z.agreed.SendTakeover {
		z.out.history.Append(p)
	}
	if !op.startsMessage() {
		return c.sendAdmitted(op, fin, 0, out.B)
	}
	z.out.compressed = !fin
	return c.sendAdmitted(op, fin, rsv1, out.B)
}

// deflate compresses payload to out. The end of a message lacks its tail (RFC 7692 section
// 7.2.1).
func (z *compression) deflate(out *buffer.Buffer, fin bool, p []byte) {
	pool := &deflaters[z.agreed.Level][z.agreed.SendWindowBits]
	d, ok := pool.Get().(*deflate.Deflater)
	if !ok {
		d = deflate.NewDeflater(z.agreed.Level, z.agreed.SendWindowBits)
	}
	defer pool.Put(d)
	out.B = d.Deflate(out.B, p, &z.out.history)
	if fin {
		out.B = out.B[:len(out.B)-len(deflate.Tail)]
	}
}
