//go:build !purego

package utf8

import "testing"

// forEachKernel runs f once for each kernel that this processor supports, with only
// that one enabled.
func forEachKernel(t *testing.T, f func(t *testing.T)) {
	for _, k := range []struct {
		name         string
		avx2, avx512 bool
	}{{"portable", false, false}, {"AVX2", true, false}, {"AVX-512", true, true}} {
		if k.avx2 && !useAVX2 || k.avx512 && !useAVX512 {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			defer func(a, b bool) { useAVX2, useAVX512 = a, b }(useAVX2, useAVX512)
			useAVX2, useAVX512 = k.avx2, k.avx512
			f(t)
		})
	}
}
