// Package avx512 tells kernels whether AVX-512 pays on this processor.
package avx512
