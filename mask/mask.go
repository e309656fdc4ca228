package mask

import (
	"encoding/binary"
	"math/bits"
)

// XOR masks or unmasks b in place with key (RFC 6455, section 5.3). pos is the
// position of b[0] within the frame's payload; it is at least 0, and only its
// value modulo 4 matters. XOR returns the position of the byte that follows b,
// modulo 4.
func XOR(b []byte, key [4]byte, pos int) int {
	xor(b, rotate(key, pos))
	return (pos + len(b)) & 3
}

// Copy masks or unmasks src into dst with key, in one pass. It handles len(src)
// bytes and panics if dst is shorter; bytes of dst beyond len(src) stay as they
// were. dst and src either start at the same byte or do not overlap. pos and the
// result are those of [XOR].
func Copy(dst, src []byte, key [4]byte, pos int) int {
	if len(dst) < len(src) {
		panic("mask: dst is shorter than src")
	}
	copyXOR(dst[:len(src)], src, rotate(key, pos))
	return (pos + len(src)) & 3
}

// rotate returns key as a little-endian word whose lowest byte is the one for
// position pos.
func rotate(key [4]byte, pos int) uint32 {
	return bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*(pos&3))
}
