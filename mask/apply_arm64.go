//go:build !purego

package mask

//go:noescape
func apply(dst, src *byte, n int, key [4]byte, pos int)
