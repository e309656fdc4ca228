package utf8

import (
	"unsafe"

	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/mask"
)

// UnmaskWhole unmasks src, a whole text, and writes it to dst, as [mask.Copy] does, and reports whether
// it is valid. It panics if dst is shorter. dst may be src; otherwise they must not overlap.
func UnmaskWhole(dst, src []byte, key [4]byte) (ok bool) {
	dst = dst[:len(src):len(dst)] // panics if dst is shorter
	if race.Enabled {
		race.Read(src)
		race.Write(dst)
	}
	return unmask(unsafe.SliceData(dst), unsafe.SliceData(src), len(src), key, 0) || Valid(dst)
}

// Unmask unmasks b, the next piece of the text, in place, and validates it. It
// does what [mask.XOR] followed by [Validator.Write] does and returns what they
// return, but needs only one pass for ASCII.
func (v *Validator) Unmask(b []byte, key [4]byte, pos int) (next int, ok bool) {
	if race.Enabled {
		race.Write(b)
	}
	p := unsafe.SliceData(b)
	ascii := unmask(p, p, len(b), key, pos)
	return (pos + len(b)) & 3, ascii && v.state == whole || v.Write(b)
}

// Copy copies src, the next piece of the text, to dst, and validates it. It does
// what copy followed by [Validator.Write] does, but needs only one pass for
// ASCII. It copies len(src) bytes and panics if dst is shorter; dst and src do
// not overlap.
func (v *Validator) Copy(dst, src []byte) (ok bool) {
	dst = dst[:len(src):len(dst)] // panics if dst is shorter
	if race.Enabled {
		race.Read(src)
		race.Write(dst)
	}
	ascii := unmask(unsafe.SliceData(dst), unsafe.SliceData(src), len(src), [4]byte{}, 0)
	return ascii && v.state == whole || v.Write(dst)
}

// unmaskPortable masks n bytes from src to dst, as [mask.Copy] does. It returns
// false, as for text that is not ASCII.
//
//lint:ignore U1000 on amd64 the assembly calls it
func unmaskPortable(dst, src *byte, n int, key [4]byte, pos int) (ascii bool) {
	mask.Copy(unsafe.Slice(dst, n), unsafe.Slice(src, n), key, pos)
	return false
}
