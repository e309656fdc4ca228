package avx512

import "golang.org/x/sys/cpu"

// Usable reports whether instructions of AVX-512 pay, with registers of any size: on processors that
// leave the clock alone, which also have VBMI2, Intel's from Ice Lake and AMD's from Zen 4 on.
var Usable = cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VBMI2

// Wide reports whether storing registers of 64 bytes pays. Zen 4 needs twice the time for one that it needs for
// 32 bytes, and more for what doesn't begin at a multiple of 64. It is the only processor with VBMI2 and
// BF16, but without AVX-VNNI.
var Wide = Usable && (cpu.X86.HasAVXVNNI || !cpu.X86.HasAVX512BF16)
