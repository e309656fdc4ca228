//go:build !purego

package utf8

import (
	"github.com/seed004e8d11/websock/internal/avx512"
	"golang.org/x/sys/cpu"
)

// vectorFrom is the length from which Valid calls valid: one vector, and the
// bytes that must precede the one that overlaps it.
const vectorFrom = 16 + 3

// Features that valid and unmask may use. Without AVX2 they call validPortable and
// unmaskPortable.
var (
	useAVX2   = cpu.X86.HasAVX2
	useAVX512 = avx512.Usable
	useWide   = avx512.Wide
)
