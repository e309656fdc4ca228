//go:build !purego

package utf8

import "golang.org/x/sys/cpu"

// vectorFrom is the length from which Valid calls valid: one vector, and the
// bytes that must precede the one that overlaps it.
const vectorFrom = 16 + 3

// Features that valid may use. Without AVX2 it calls validPortable.
var (
	useAVX2 = cpu.X86.HasAVX2
	// AVX-512 pays only where its registers leave the clock alone: on processors
	// that also have VBMI2, Intel's from Ice Lake and AMD's from Zen 4 on.
	useAVX512 = cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VBMI2
)
