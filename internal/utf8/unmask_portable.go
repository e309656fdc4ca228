//go:build purego || !amd64

package utf8

func unmask(dst, src *byte, n int, key [4]byte, pos int) (ascii bool) {
	return unmaskPortable(dst, src, n, key, pos)
}
