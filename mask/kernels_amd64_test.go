//go:build !purego

package mask

import "golang.org/x/sys/cpu"

// kernels returns every kernel that this processor supports.
func kernels() []kernel {
	with := func(avx2, avx512 bool) func(dst, src *byte, n int, key [4]byte, pos int) {
		return func(dst, src *byte, n int, key [4]byte, pos int) {
			defer func(from int, use bool) { vectorFrom, useAVX512 = from, use }(vectorFrom, useAVX512)
			vectorFrom, useAVX512 = vectorLength(avx2), avx512
			apply(dst, src, n, key, pos)
		}
	}
	ks := []kernel{{"portable", applyPortable}, {"without AVX2", with(false, false)}}
	if cpu.X86.HasAVX2 {
		ks = append(ks, kernel{"AVX2", with(true, false)})
	}
	if useAVX512 {
		ks = append(ks, kernel{"AVX-512", with(true, true)})
	}
	return ks
}
