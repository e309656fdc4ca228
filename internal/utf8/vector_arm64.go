//go:build !purego

package utf8

// vectorFrom is the length from which Valid calls valid: one vector, and the
// bytes that must precede the one that overlaps it.
const vectorFrom = 16 + 3

//go:noescape
func valid(p *byte, n int) bool
