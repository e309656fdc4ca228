//go:build purego || !(amd64 || arm64)

package mask

func apply(dst, src *byte, n int, key [4]byte, pos int) {
	applyPortable(dst, src, n, key, pos)
}
