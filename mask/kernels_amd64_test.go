//go:build !purego

package mask

import "golang.org/x/sys/cpu"

// kernels returns every kernel that this processor supports.
func kernels() []kernel {
	with := func(avx2, avx512, wide bool) func(dst, src *byte, n int, key [4]byte, pos int) {
		return func(dst, src *byte, n int, key [4]byte, pos int) {
			defer func(from int, use, wide bool) { vectorFrom, useAVX512, useWide = from, use, wide }(vectorFrom, useAVX512, useWide)
			vectorFrom, useAVX512, useWide = vectorLength(avx2), avx512, wide
			apply(dst, src, n, key, pos)
		}
	}
	ks := []kernel{{"portable", applyPortable}, {"without AVX2", with(false, false, false)}}
	if cpu.X86.HasAVX2 {
		ks = append(ks, kernel{"AVX2", with(true, false, false)})
	}
	if useAVX512 {
		ks = append(ks, kernel{"AVX-512", with(true, true, false)}, kernel{"wide AVX-512", with(true, true, true)})
	}
	return ks
}
