package h2

import "github.com/seed004e8d11/websock/internal/buffer"

// chunks are a queue of bytes in buffers that don't move: bytes at the front stay where they are while
// others are added.
type chunks struct {
	list  []*buffer.Buffer // oldest first
	start int              // of the first, so much is gone
}

// empty reports whether there are no bytes.
func (c *chunks) empty() bool { return len(c.list) == 0 }

// front returns the oldest bytes.
func (c *chunks) front() []byte {
	if len(c.list) == 0 {
		return nil
	}
	return c.list[0].B[c.start:]
}

// add adds a copy of p, in buffers of up to most bytes.
func (c *chunks) add(p []byte, most int) {
	for len(p) > 0 {
		last := len(c.list) - 1
		if last < 0 || len(c.list[last].B) == cap(c.list[last].B) {
			size := len(p)
			if last >= 0 {
				size = max(size, 2*cap(c.list[last].B)) // many short pieces need few buffers
			}
			c.list = append(c.list, buffer.Get(min(size, most)))
			last++
		}
		b := c.list[last]
		n := min(len(p), cap(b.B)-len(b.B))
		b.B = append(b.B, p[:n]...)
		p = p[n:]
	}
}

// take drops the n oldest bytes, which are in the first buffer. If they are the last of it, it returns
// the buffer, and otherwise nil.
func (c *chunks) take(n int) *buffer.Buffer {
	if c.start += n; c.start < len(c.list[0].B) {
		return nil
	}
	b := c.list[0]
	c.start = 0
	n = copy(c.list, c.list[1:])
	c.list[n] = nil
	c.list = c.list[:n]
	return b
}
