package mask

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// applyPortable XORs the n bytes at src with key into the n bytes at dst, eight
// at a time. dst is src or apart from it; pos is the position of the first byte.
//
// The last word is loaded before the loop and stored after it, overlapping what
// the loop wrote, so that no length needs a byte-by-byte tail.
//
//lint:ignore U1000 on amd64 the assembly calls it
func applyPortable(dst, src *byte, n int, key [4]byte, pos int) {
	d, s := unsafe.Slice(dst, n), unsafe.Slice(src, n)
	le := binary.LittleEndian
	word := bits.RotateLeft32(le.Uint32(key[:]), -8*(pos&3))
	switch {
	case n >= 8:
		word := uint64(word)<<32 | uint64(word)
		last := le.Uint64(s[n-8:]) ^ bits.RotateLeft64(word, -8*(n&3))
		end := d[n-8:]
		for len(s) > 32 {
			from, to := (*[32]byte)(s), (*[32]byte)(d)
			le.PutUint64(to[0:], le.Uint64(from[0:])^word)
			le.PutUint64(to[8:], le.Uint64(from[8:])^word)
			le.PutUint64(to[16:], le.Uint64(from[16:])^word)
			le.PutUint64(to[24:], le.Uint64(from[24:])^word)
			s, d = s[32:], d[32:]
		}
		for len(s) > 8 {
			le.PutUint64(d, le.Uint64(s)^word)
			s, d = s[8:], d[8:]
		}
		le.PutUint64(end, last)
	case n >= 4:
		last := le.Uint32(s[n-4:]) ^ bits.RotateLeft32(word, -8*(n&3))
		le.PutUint32(d, le.Uint32(s)^word)
		le.PutUint32(d[n-4:], last)
	default:
		for i, c := range s {
			d[i] = c ^ byte(word>>(8*i))
		}
	}
}
