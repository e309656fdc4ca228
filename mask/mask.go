package mask

import (
	"unsafe"

	"github.com/seed004e8d11/websock/internal/race"
)

// XOR and Copy are no larger than the compiler inlines, so that a call costs no
// more than a call of the kernel, apply.

// XOR masks or unmasks b in place with key (RFC 6455, section 5.3). pos is the
// position of b[0] within the frame's payload; it is at least 0, and only its
// value modulo 4 matters. XOR returns the position of the byte that follows b,
// modulo 4.
func XOR(b []byte, key [4]byte, pos int) int {
	if race.Enabled {
		race.Write(b)
	}
	apply(unsafe.SliceData(b), unsafe.SliceData(b), len(b), key, pos)
	return (pos + len(b)) & 3
}

// Copy masks or unmasks src into dst with key, in one pass. It handles len(src)
// bytes and panics if dst is shorter; bytes of dst beyond len(src) stay as they
// were. dst and src either start at the same byte or do not overlap. pos and the
// result are those of [XOR].
func Copy(dst, src []byte, key [4]byte, pos int) int {
	_ = dst[len(src):] // panics if dst is shorter
	if race.Enabled {
		race.Read(src)
		race.Write(dst[:len(src)])
	}
	apply(unsafe.SliceData(dst), unsafe.SliceData(src), len(src), key, pos)
	return (pos + len(src)) & 3
}
