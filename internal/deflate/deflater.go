package deflate

import "github.com/klauspost/compress/flate"

// A Deflater compresses. It is large, and lent while a message is compressed. One
// goroutine at a time uses it.
type Deflater struct {
	w    *flate.Writer
	out  appender
	dict []byte
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// NewDeflater returns a Deflater that refers at most 1<<bits bytes back. level is 1
// (fastest) to 9 (smallest).
func NewDeflater(level, bits int) *Deflater {
	d := &Deflater{}
	if bits == 15 {
		d.w, _ = flate.NewWriter(&d.out, level)
	} else {
		d.w, _ = flate.NewWriterWindow(&d.out, 1<<bits)
	}
	return d
}

// Bound returns the most bytes that n bytes are compressed to.
func Bound(n int) int { return n + n/2 + 256 }

// Deflate appends to dst what src is compressed to, ended by an empty stored block, of
// which Tail is the end, and returns the extended slice. before are the bytes that were
// compressed earlier and may be referred to; src is for the caller to append to them.
func (d *Deflater) Deflate(dst, src []byte, before *History) []byte {
	d.out.b = dst
	d.dict = before.AppendTo(d.dict[:0])
	d.w.ResetDict(&d.out, d.dict)
	d.w.Write(src)
	d.w.Flush()
	dst = d.out.b
	d.out.b = nil
	return dst
}
