package mask

import (
	"encoding/binary"
	"math/bits"
)

// xorPortable XORs b with the repeated little-endian word key.
//
// The last word is loaded before the loop and stored after it, overlapping what
// the loop wrote, so that no length needs a byte-by-byte tail.
func xorPortable(b []byte, key uint32) {
	copyPortable(b, b, key)
}

// copyPortable XORs src with the repeated little-endian word key into dst, which
// is as long as src, and is src itself or apart from it.
func copyPortable(dst, src []byte, key uint32) {
	n := len(src)
	dst = dst[:n]
	le := binary.LittleEndian
	switch {
	case n >= 8:
		wide := uint64(key)<<32 | uint64(key)
		last := le.Uint64(src[n-8:]) ^ bits.RotateLeft64(wide, -8*(n&3))
		end := dst[n-8:]
		for len(src) > 32 {
			s, d := (*[32]byte)(src), (*[32]byte)(dst)
			le.PutUint64(d[0:], le.Uint64(s[0:])^wide)
			le.PutUint64(d[8:], le.Uint64(s[8:])^wide)
			le.PutUint64(d[16:], le.Uint64(s[16:])^wide)
			le.PutUint64(d[24:], le.Uint64(s[24:])^wide)
			src, dst = src[32:], dst[32:]
		}
		for len(src) > 8 {
			le.PutUint64(dst, le.Uint64(src)^wide)
			src, dst = src[8:], dst[8:]
		}
		le.PutUint64(end, last)
	case n >= 4:
		first := le.Uint32(src) ^ key
		last := le.Uint32(src[n-4:]) ^ bits.RotateLeft32(key, -8*(n&3))
		le.PutUint32(dst, first)
		le.PutUint32(dst[n-4:], last)
	default:
		for i, c := range src {
			dst[i] = c ^ byte(key>>(8*i))
		}
	}
}
