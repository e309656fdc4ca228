//go:build !purego

#include "textflag.h"

// The algorithm is that of the amd64 kernel, whose generator explains it. Here
// two more tables say after which bytes a second and a third continuation must
// follow.

DATA firstHigh<>+0(SB)/8, $0x0202020202020202
DATA firstHigh<>+8(SB)/8, $0x4915012180808080
GLOBL firstHigh<>(SB), RODATA|NOPTR, $16

DATA firstLow<>+0(SB)/8, $0xcbcbcb8b8383a3e7
DATA firstLow<>+8(SB)/8, $0xcbcbdbcbcbcbcbcb
GLOBL firstLow<>(SB), RODATA|NOPTR, $16

DATA secondHigh<>+0(SB)/8, $0x0101010101010101
DATA secondHigh<>+8(SB)/8, $0x01010101babaaee6
GLOBL secondHigh<>(SB), RODATA|NOPTR, $16

DATA third<>+0(SB)/8, $0x0000000000000000
DATA third<>+8(SB)/8, $0x8080000000000000
GLOBL third<>(SB), RODATA|NOPTR, $16

DATA fourth<>+0(SB)/8, $0x0000000000000000
DATA fourth<>+8(SB)/8, $0x8000000000000000
GLOBL fourth<>(SB), RODATA|NOPTR, $16

DATA wholeEnd<>+0(SB)/8, $0xffffffffffffffff
DATA wholeEnd<>+8(SB)/8, $0xbfdfefffffffffff
GLOBL wholeEnd<>(SB), RODATA|NOPTR, $16

// CHECK adds the errors of in to V0; p1, p2 and p3 begin one, two and three
// bytes earlier.
#define CHECK(in, p1, p2, p3) \
	VUSHR $4, p1, V16.B16 \
	VAND  V4.B16, p1, V17.B16 \
	VUSHR $4, in, V18.B16 \
	VUSHR $4, p2, V19.B16 \
	VUSHR $4, p3, V20.B16 \
	VTBL  V16.B16, [V1.B16], V16.B16 \
	VTBL  V17.B16, [V2.B16], V17.B16 \
	VTBL  V18.B16, [V3.B16], V18.B16 \
	VTBL  V19.B16, [V5.B16], V19.B16 \
	VTBL  V20.B16, [V6.B16], V20.B16 \
	VAND  V17.B16, V16.B16, V16.B16 \
	VAND  V18.B16, V16.B16, V16.B16 \
	VORR  V20.B16, V19.B16, V19.B16 \
	VEOR  V19.B16, V16.B16, V16.B16 \
	VORR  V16.B16, V0.B16, V0.B16

// CHECKAT does so for the vector at off(base).
#define CHECKAT(off, base) \
	FMOVQ (off)(base), F8 \
	FMOVQ (off-1)(base), F9 \
	FMOVQ (off-2)(base), F10 \
	FMOVQ (off-3)(base), F11 \
	CHECK(V8.B16, V9.B16, V10.B16, V11.B16)

// TOP sets the flags to whether v has a byte beyond ASCII: NE.
#define TOP(v) \
	VMOV v.D[0], R4 \
	VMOV v.D[1], R5 \
	ORR  R5, R4 \
	TST  $0x8080808080808080, R4

#define TABLE(name, reg) \
	MOVD  $name<>(SB), R6 \
	VLD1  (R6), [reg]

// func valid(p *byte, n int) bool
//
// R0: the next byte. R1: the last vector, 16 bytes before the end.
TEXT ·valid(SB), NOSPLIT, $0-17
	MOVD p+0(FP), R0
	MOVD n+8(FP), R1
	ADD  R0, R1
	SUB  $16, R1
	TABLE(firstHigh, V1.B16)
	TABLE(firstLow, V2.B16)
	TABLE(secondHigh, V3.B16)
	TABLE(third, V5.B16)
	TABLE(fourth, V6.B16)
	VMOVI $15, V4.B16
	VEOR  V0.B16, V0.B16, V0.B16
	VEOR  V7.B16, V7.B16, V7.B16

	VLD1.P 16(R0), [V8.B16]
	TOP(V8)
	BEQ    skip
	VEXT   $15, V8.B16, V7.B16, V9.B16
	VEXT   $14, V8.B16, V7.B16, V10.B16
	VEXT   $13, V8.B16, V7.B16, V11.B16
	CHECK(V8.B16, V9.B16, V10.B16, V11.B16)
	B      check

skip:
	SUB $48, R1, R2

skip4:
	CMP    R2, R0
	BHI    skip1
	VLD1   (R0), [V8.B16, V9.B16, V10.B16, V11.B16]
	VORR   V9.B16, V8.B16, V8.B16
	VORR   V11.B16, V10.B16, V10.B16
	VORR   V10.B16, V8.B16, V8.B16
	TOP(V8)
	BNE    skip1
	ADD    $64, R0
	B      skip4

skip1:
	CMP  R1, R0
	BHS  skiplast
	VLD1 (R0), [V8.B16]
	TOP(V8)
	BNE  check
	ADD  $16, R0
	B    skip1

skiplast:
	VLD1 (R1), [V8.B16]
	TOP(V8)
	BEQ  done

check:
	SUB $16, R1, R2

check2:
	CMP  R2, R0
	BHI  check1
	CHECKAT(0, R0)
	VMOV V8.B16, V12.B16
	CHECKAT(16, R0)
	ADD  $32, R0
	VORR V12.B16, V8.B16, V8.B16
	TOP(V8)
	BNE  check2
	B    skip

check1:
	CMP R1, R0
	BHS checklast
	CHECKAT(0, R0)

checklast:
	CHECKAT(0, R1)

	// A lead byte among the last three, with too few after it.
	MOVD  $wholeEnd<>(SB), R6
	VLD1  (R6), [V9.B16]
	VUMAX V9.B16, V8.B16, V8.B16
	VEOR  V9.B16, V8.B16, V8.B16
	VORR  V8.B16, V0.B16, V0.B16

done:
	VMOV V0.D[0], R4
	VMOV V0.D[1], R5
	ORR  R5, R4
	CMP  $0, R4
	CSET EQ, R4
	MOVB R4, ret+16(FP)
	RET
