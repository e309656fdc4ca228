//go:build !purego

#include "textflag.h"

// func apply(dst, src *byte, n int, key [4]byte, pos int)
//
// Like the other kernels, it loads the last bytes before it stores the first
// ones, and stores them last, so that no length needs a byte-by-byte tail.
//
// R0, R1: dst, src. R2: n. R3, V0: the key from pos on. R4, V1: the key from
// pos+n-4k on. R5, R6: the ends of dst and src.
TEXT ·apply(SB), NOSPLIT, $0-40
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  n+16(FP), R2
	MOVD  $key+24(FP), R7
	MOVWU (R7), R3
	MOVD  pos+32(FP), R8
	LSL   $3, R8
	RORW  R8, R3, R3
	LSL   $3, R2, R9
	RORW  R9, R3, R4
	ADD   R2, R0, R5
	ADD   R2, R1, R6
	CMP   $16, R2
	BLO   under16
	VDUP  R3, V0.S4
	VDUP  R4, V1.S4
	CMP   $32, R2
	BHI   over32
	SUB   $16, R5
	SUB   $16, R6
	VLD1  (R1), [V2.B16]
	VLD1  (R6), [V3.B16]
	VEOR  V0.B16, V2.B16, V2.B16
	VEOR  V1.B16, V3.B16, V3.B16
	VST1  [V2.B16], (R0)
	VST1  [V3.B16], (R5)
	RET

over32:
	CMP  $64, R2
	BHI  over64
	SUB  $32, R5
	SUB  $32, R6
	VLD1 (R1), [V2.B16, V3.B16]
	VLD1 (R6), [V4.B16, V5.B16]
	VEOR V0.B16, V2.B16, V2.B16
	VEOR V0.B16, V3.B16, V3.B16
	VEOR V1.B16, V4.B16, V4.B16
	VEOR V1.B16, V5.B16, V5.B16
	VST1 [V2.B16, V3.B16], (R0)
	VST1 [V4.B16, V5.B16], (R5)
	RET

over64:
	SUB  $64, R5
	SUB  $64, R6
	VLD1 (R6), [V4.B16, V5.B16, V6.B16, V7.B16]
	VEOR V1.B16, V4.B16, V4.B16
	VEOR V1.B16, V5.B16, V5.B16
	VEOR V1.B16, V6.B16, V6.B16
	VEOR V1.B16, V7.B16, V7.B16
	VLD1 (R1), [V2.B16]
	VEOR V0.B16, V2.B16, V2.B16
	MOVD R0, R10
	CMP  $1024, R2
	BLO  loop

	// Align dst. What that skips is in V2.
	ADD  $16, R0
	AND  $~15, R0
	SUB  R10, R0, R11
	ADD  R11, R1
	LSL  $3, R11
	RORW R11, R3, R3
	VDUP R3, V0.S4

loop:
	VLD1.P 64(R1), [V16.B16, V17.B16, V18.B16, V19.B16]
	VEOR   V0.B16, V16.B16, V16.B16
	VEOR   V0.B16, V17.B16, V17.B16
	VEOR   V0.B16, V18.B16, V18.B16
	VEOR   V0.B16, V19.B16, V19.B16
	VST1.P [V16.B16, V17.B16, V18.B16, V19.B16], 64(R0)
	CMP    R5, R0
	BLO    loop
	VST1   [V2.B16], (R10)
	VST1   [V4.B16, V5.B16, V6.B16, V7.B16], (R5)
	RET

under16:
	CMP  $8, R2
	BLO  under8
	ORR  R3<<32, R3
	ORR  R4<<32, R4
	MOVD (R1), R7
	MOVD -8(R6), R8
	EOR  R3, R7
	EOR  R4, R8
	MOVD R7, (R0)
	MOVD R8, -8(R5)
	RET

under8:
	CMP   $4, R2
	BLO   under4
	MOVWU (R1), R7
	MOVWU -4(R6), R8
	EORW  R3, R7
	EORW  R4, R8
	MOVW  R7, (R0)
	MOVW  R8, -4(R5)
	RET

under4:
	CMP   $2, R2
	BLO   under2
	BEQ   two
	MOVBU 2(R1), R7
	EORW  R3>>16, R7
	MOVB  R7, 2(R0)

two:
	MOVHU (R1), R7
	EORW  R3, R7
	MOVH  R7, (R0)
	RET

under2:
	CBZ   R2, none
	MOVBU (R1), R7
	EORW  R3, R7
	MOVB  R7, (R0)

none:
	RET
