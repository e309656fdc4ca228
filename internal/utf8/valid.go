package utf8

import "unicode/utf8"

// Valid reports whether p is valid UTF-8, like [utf8.Valid].
func Valid(p []byte) bool { return utf8.Valid(p) }
