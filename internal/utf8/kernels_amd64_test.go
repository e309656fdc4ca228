//go:build !purego

package utf8

import "testing"

// forEachKernel runs f once for each kernel that this processor supports, with only
// that one enabled.
func forEachKernel(t *testing.T, f func(t *testing.T)) {
	for _, k := range []struct {
		name               string
		avx2, avx512, wide bool
	}{{"portable", false, false, false}, {"AVX2", true, false, false}, {"AVX-512", true, true, false}, {"wide AVX-512", true, true, true}} {
		if k.avx2 && !useAVX2 || k.avx512 && !useAVX512 {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			defer func(a, b, c bool) { useAVX2, useAVX512, useWide = a, b, c }(useAVX2, useAVX512, useWide)
			useAVX2, useAVX512, useWide = k.avx2, k.avx512, k.wide
			f(t)
		})
	}
}
