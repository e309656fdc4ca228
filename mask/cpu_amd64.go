//go:build !purego

package mask

import (
	"math"

	"golang.org/x/sys/cpu"
)

// Features that apply may use.
var (
	// vectorFrom is the length from which apply uses AVX2. Without AVX2 nothing is
	// that long, and apply calls applyPortable.
	vectorFrom = vectorLength(cpu.X86.HasAVX2)
	// AVX-512 pays only where its registers leave the clock alone: on processors
	// that also have VBMI2, Intel's from Ice Lake and AMD's from Zen 4 on.
	useAVX512 = cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VBMI2
)

func vectorLength(avx2 bool) int {
	if avx2 {
		return 4
	}
	return math.MaxInt
}
