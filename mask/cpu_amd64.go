//go:build !purego

package mask

import (
	"math"

	"github.com/seed004e8d11/websock/internal/avx512"
	"golang.org/x/sys/cpu"
)

// Features that apply may use.
var (
	// vectorFrom is the length from which apply uses AVX2. Without AVX2 nothing is
	// that long, and apply calls applyPortable.
	vectorFrom = vectorLength(cpu.X86.HasAVX2)
	useAVX512  = avx512.Usable
	useWide    = avx512.Wide
)

func vectorLength(avx2 bool) int {
	if avx2 {
		return 4
	}
	return math.MaxInt
}
