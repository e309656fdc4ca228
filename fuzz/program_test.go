package fuzz

import (
	"bytes"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A program is fuzzed bytes that are read as instructions. It is followed by zeros.
type program []byte

// next takes one byte.
func (p *program) next() byte {
	if len(*p) == 0 {
		return 0
	}
	b := (*p)[0]
	*p = (*p)[1:]
	return b
}

// take takes up to n bytes.
func (p *program) take(n int) []byte {
	n = min(n, len(*p))
	taken := (*p)[:n:n]
	*p = (*p)[n:]
	return taken
}

// ended reports whether all bytes were taken.
func (p *program) ended() bool { return len(*p) == 0 }

// payload takes a payload: a few bytes, or one of the sizes around which headers and buffers grow.
func (p *program) payload() []byte {
	size := int(p.next())
	b := p.take(size % 140)
	if size > 240 && len(b) > 0 {
		sizes := []int{125, 126, 0xffff, 0x10000, 128 << 10, 128<<10 + 1}
		b = bytes.Repeat(b, sizes[size%len(sizes)]/len(b)+1)
	}
	return b
}

// closePayload takes the payload of a close frame. It is empty if that would break a rule.
func (p *program) closePayload() []byte {
	code := websock.CloseCode(p.next())<<8 | websock.CloseCode(p.next())
	reason := string(p.take(int(p.next()) % 124))
	if engine.CheckClose(code, reason) != nil {
		return nil
	}
	return engine.AppendClose(nil, code, reason)
}

// pieces calls f with the bounds of consecutive pieces of n bytes. Each byte of
// cuts is the length of a piece; the last piece takes the rest.
func pieces(n int, cuts []byte, f func(from, to int)) {
	from := 0
	for _, c := range cuts {
		to := min(from+int(c), n)
		f(from, to)
		from = to
	}
	f(from, n)
}
