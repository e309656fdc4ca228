package utf8

import (
	"unicode/utf8"
	"unsafe"
)

// validPortable reports whether the n bytes at p are valid UTF-8.
//
//lint:ignore U1000 on amd64 the assembly calls it
func validPortable(p *byte, n int) bool { return utf8.Valid(unsafe.Slice(p, n)) }
