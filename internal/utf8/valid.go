package utf8

import (
	"encoding/binary"
	"unsafe"

	"github.com/seed004e8d11/websock/internal/race"
)

// Valid reports whether p is valid UTF-8, like unicode/utf8's Valid.
func Valid(p []byte) bool {
	n := len(p)
	le := binary.LittleEndian
	const high = 0x8080808080808080
	// Short text is mostly ASCII, which two overlapping words can tell.
	switch {
	case n >= vectorFrom:
		if race.Enabled {
			race.Read(p)
		}
		return valid(unsafe.SliceData(p), n)
	case n >= 8:
		all := le.Uint64(p) | le.Uint64(p[n-8:])
		if n > 16 {
			all |= le.Uint64(p[8:])
		}
		if all&high == 0 {
			return true
		}
	case n >= 4:
		if (le.Uint32(p)|le.Uint32(p[n-4:]))&(high>>32) == 0 {
			return true
		}
	case n > 0:
		if p[0]|p[n/2]|p[n-1] < 0x80 {
			return true
		}
	}
	return whole.run(p) == whole
}
