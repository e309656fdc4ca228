//go:build purego || !(amd64 || arm64)

package utf8

// vectorFrom is the length from which Valid calls valid.
const vectorFrom = 24

func valid(p *byte, n int) bool { return validPortable(p, n) }
