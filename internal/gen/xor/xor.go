// Package xor builds the amd64 kernels that apply masking keys.
package xor

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The kernel's general registers.
var (
	dst, src, n = RDI, RSI, RDX
	head        = RCX // the position of the first byte, modulo 4
	tail        = R8  // the position of the bytes n-4, n-8, ..., modulo 4
	rotations   = R9  // shuffles: the one i bytes on rotates a key by i bytes
)

// avx512From is the length from which AVX-512 measured faster at every alignment.
// What comes before its loops and after them costs more than AVX2's.
const avx512From = 1280

// keyParam is the key among the arguments. It is only ever pointed to, because
// go vet takes offense at loading an array.
var keyParam = Mem{Symbol: Symbol{Name: "key"}, Base: FramePointer, Disp: 24}

// Build builds the function name, which masks n bytes from src to dst. With
// ascii it also returns whether all it wrote is ASCII; it then leaves less than
// four bytes to the portable function, which may always say no.
func Build(name, portable string, ascii bool) {
	table := GLOBL("rotations", RODATA|NOPTR)
	for i := range 9 {
		DATA(8*i, U64(0x0302010003020100))
	}

	signature := "func(dst, src *byte, n int, key [4]byte, pos int)"
	if ascii {
		signature += " bool"
	}
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Load(Param("n"), n)
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("pos"), head)
	if ascii {
		CMPQ(n, U8(4))
		JB(LabelRef("portable"))
		CMPB(variable("useAVX2"), U8(0))
		JEQ(LabelRef("portable"))
	} else {
		Comment("Too short, or too much for this processor: one test for both.")
		CMPQ(n, variable("vectorFrom"))
		JLT(LabelRef("special"))
	}
	LEAQ(Mem{Base: head, Index: n, Scale: 1}, tail)
	ANDL(U8(3), head.As32())
	ANDL(U8(3), tail.As32())
	CMPQ(n, U8(64))
	JBE(LabelRef("upTo64"))

	ymm := vectors{32, ascii, [12]VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11}}
	CMPQ(n, U32(128))
	JA(LabelRef("over128"))
	ymm.keys(table)
	ymm.overlapping(2)
	Label("over128")
	CMPQ(n, U32(256))
	JA(LabelRef("over256"))
	ymm.keys(table)
	ymm.overlapping(4)
	Label("over256")
	CMPQ(n, U32(avx512From))
	JAE(LabelRef("long"))
	Label("avx2")
	ymm.keys(table)
	ymm.loop("avx2_loop")

	Label("long")
	CMPB(variable("useAVX512"), U8(0))
	JEQ(LabelRef("avx2"))
	CMPB(variable("useWide"), U8(0))
	JNE(LabelRef("wide"))
	ymm.aligned(table, "avx2")

	Label("wide")
	zmm := vectors{64, ascii, [12]VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11}}
	zmm.keys(table)
	zmm.loop("wide_loop")

	Label("upTo64")
	xmm := vectors{16, ascii, [12]VecPhysical{X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11}}
	CMPQ(n, U8(32))
	JA(LabelRef("over32"))
	xmm.keys(table)
	CMPQ(n, U8(16))
	JB(LabelRef("under16"))
	xmm.overlapping(1)
	Label("over32")
	ymm.keys(table)
	ymm.overlapping(1)

	Label("under16")
	CMPQ(n, U8(8))
	JB(LabelRef("under8"))
	xmm.words(VMOVQ, 8)
	Label("under8")
	if ascii {
		xmm.words(VMOVD, 4)
	} else {
		fourToSeven()
	}

	if !ascii {
		Label("special")
		CMPQ(n, U8(4))
		JAE(LabelRef("portable"))
		bytes()
	}
	Label("portable")
	Instruction(&ir.Instruction{Opcode: "JMP", Operands: []Op{variable(portable)}, IsTerminal: true})
}

func variable(name string) Mem {
	return Mem{Symbol: Symbol{Name: "·" + name}, Base: StaticBase}
}

func begin(base Register, disp int) Mem { return Mem{Base: base, Disp: disp} }

func end(base Register, disp int) Mem {
	return Mem{Base: base, Index: n, Scale: 1, Disp: disp}
}

// fourToSeven handles as many bytes. It does not overlap words: who masks the
// same few bytes again would wait for the stores to be done with.
func fourToSeven() {
	VMOVD(X0, EAX)
	MOVL(begin(src, 0), R8L)
	XORL(EAX, R8L)
	MOVL(R8L, begin(dst, 0))
	ADDQ(U8(4), src)
	ADDQ(U8(4), dst)
	SUBQ(U8(4), n)
	JMP(LabelRef("rest"))
}

// bytes handles up to three bytes.
func bytes() {
	LEAQ(keyParam, RAX)
	ANDL(U8(3), head.As32())
	MOVL(begin(RAX, 0), EAX)
	SHLL(U8(3), head.As32())
	RORL(CL, EAX)
	Label("rest")
	CMPQ(n, U8(1))
	JB(LabelRef("none"))
	JEQ(LabelRef("one"))
	MOVWLZX(begin(src, 0), R8L)
	MOVBLZX(end(src, -1), R9L)
	XORL(EAX, R8L)
	MOVW(R8W, begin(dst, 0))
	CMPQ(n, U8(2))
	JEQ(LabelRef("none"))
	SHRL(U8(16), EAX)
	XORL(EAX, R9L)
	MOVB(R9B, begin(dst, 2))
	Label("none")
	RET()
	Label("one")
	XORB(begin(src, 0), AL)
	MOVB(AL, begin(dst, 0))
	RET()
}

// vectors are the registers of one width: the key from position head on, the
// key from position tail on, nine to work with, and one that gathers what the
// loop wrote, to tell whether it is ASCII.
type vectors struct {
	width int
	ascii bool
	r     [12]VecPhysical
}

// gathered is the register that gathers what the loop wrote.
const gathered = 11

// words handles size to 2*size bytes as two overlapping words.
func (v vectors) words(mov func(x, y Op), size int) {
	mov(begin(src, 0), X2)
	mov(end(src, -size), X3)
	VPXOR(X0, X2, X2)
	VPXOR(X1, X3, X3)
	mov(X2, begin(dst, 0))
	mov(X3, end(dst, -size))
	v.ret(2, 3)
}

// keys sets the first two registers.
func (v vectors) keys(table Mem) {
	LEAQ(keyParam, RAX)
	LEAQ(table, rotations)
	VPBROADCASTD(begin(RAX, 0), v.r[0])
	VPSHUFB(Mem{Base: rotations, Index: tail, Scale: 1}, v.r[0], v.r[1])
	VPSHUFB(Mem{Base: rotations, Index: head, Scale: 1}, v.r[0], v.r[0])
}

// xor sets register to to the masked bytes at m.
func (v vectors) xor(m Mem, keys, to int) {
	if v.width == 64 {
		VPXORQ(m, v.r[keys], v.r[to])
	} else {
		VPXOR(m, v.r[keys], v.r[to])
	}
}

func (v vectors) store(from int, m Mem) {
	if v.width == 64 {
		VMOVDQU64(v.r[from], m)
	} else {
		VMOVDQU(v.r[from], m)
	}
}

// ret returns. Registers written hold all that was written.
func (v vectors) ret(written ...int) {
	if v.ascii {
		all := written[0]
		for _, r := range written[1:] {
			v.or(r, all)
		}
		if v.width == 64 {
			VPMOVB2M(v.r[all], K1)
			KORTESTQ(K1, K1)
		} else {
			VPMOVMSKB(v.r[all], EAX)
			TESTL(EAX, EAX)
		}
		result, err := ReturnIndex(0).Resolve()
		if err != nil {
			panic(err)
		}
		SETEQ(result.Addr)
	}
	if v.width > 16 {
		VZEROUPPER()
	}
	RET()
}

func (v vectors) clear(r int) {
	if v.width == 64 {
		VPXORQ(v.r[r], v.r[r], v.r[r])
	} else {
		VPXOR(v.r[r], v.r[r], v.r[r])
	}
}

func (v vectors) or(from, to int) {
	if v.width == 64 {
		VPORQ(v.r[from], v.r[to], v.r[to])
	} else {
		VPOR(v.r[from], v.r[to], v.r[to])
	}
}

// overlapping handles k to 2k vectors: k from the start, k up to the end, all
// loads before the first store.
func (v vectors) overlapping(k int) {
	srcEnd := R10
	LEAQ(end(src, 0), srcEnd)
	for i := range k {
		v.xor(begin(src, i*v.width), 0, 2+i)
	}
	for i := range k {
		v.xor(begin(srcEnd, (i-k)*v.width), 1, 2+k+i)
	}
	for i := range k {
		v.store(2+i, begin(dst, i*v.width))
	}
	for i := range k {
		v.store(2+k+i, end(dst, (i-k)*v.width))
	}
	written := []int{2, 3, 4, 5, 6, 7, 8, 9}
	v.ret(written[:2*k]...)
}

// loop handles more than eight vectors. The first vector and the last four are
// loaded before the loop and stored after it; between them the loop stores four
// aligned ones at a time.
func (v vectors) loop(name string) {
	v.xor(begin(src, 0), 0, 6)
	for i := range 4 {
		v.xor(end(src, (i-4)*v.width), 1, 2+i)
	}
	start, last, far := R10, R11, R12
	MOVQ(dst, start)
	LEAQ(end(dst, -4*v.width), last)
	Comment("dst moves up to its first aligned vector; src becomes the distance from it.")
	SUBQ(dst, src)
	ADDQ(U8(v.width), dst)
	ANDQ(I8(-v.width), dst)
	Comment("The key turns by as many bytes as dst moved.")
	MOVL(dst.As32(), EAX)
	SUBL(start.As32(), EAX)
	ANDL(U8(3), EAX)
	VPSHUFB(Mem{Base: rotations, Index: RAX, Scale: 1}, v.r[0], v.r[0])

	if v.ascii {
		v.clear(gathered)
	}

	v.until(name, 4, last, far)
	v.store(6, begin(start, 0))
	for i := range 4 {
		v.store(2+i, begin(last, i*v.width))
	}
	v.ret(gathered, 2, 3, 4, 5, 6)
}

// aligned handles more than eight vectors. It does what loop does, but the only
// vector it stores to an address that is not aligned is the first: of the last
// one, whose end is that of the bytes, it stores a part. So it never stores to two
// pages at once, which takes the time of ten stores. It jumps to otherwise if to
// load that last vector would touch a page beyond the bytes: that is slow, too.
func (v vectors) aligned(table Mem, otherwise string) {
	start, last, distance, until := R10, R11, R12, R13
	Comment("The last aligned vector, and the distance from dst to src.")
	LEAQ(end(dst, -1), last)
	MOVL(last.As32(), EBX)
	ANDQ(I8(-v.width), last)
	MOVQ(src, distance)
	SUBQ(dst, distance)
	LEAQ(Mem{Base: last, Index: distance, Scale: 1}, RAX)
	ANDL(U32(4095), EAX)
	CMPL(EAX, U32(4096-v.width))
	JA(LabelRef(otherwise))

	v.keys(table)
	v.xor(begin(src, 0), 0, 6)
	MOVQ(distance, src)
	MOVQ(dst, start)
	Comment("dst moves up to its first aligned vector, and the key turns by as many bytes.")
	ADDQ(U8(v.width), dst)
	ANDQ(I8(-v.width), dst)
	MOVL(dst.As32(), EAX)
	SUBL(start.As32(), EAX)
	ANDL(U8(3), EAX)
	VPSHUFB(Mem{Base: rotations, Index: RAX, Scale: 1}, v.r[0], v.r[0])
	Comment("K1 has a bit for each byte of the last vector.")
	MOVL(EBX, ECX)
	NOTL(ECX)
	MOVL(I32(-1), EAX)
	SHRL(CL, EAX)
	KMOVD(EAX, K1)
	VMOVDQU8_Z(Mem{Base: last, Index: src, Scale: 1}, K1, v.r[2])
	VPXOR(v.r[2], v.r[0], v.r[2])
	v.xor(Mem{Base: last, Index: src, Scale: 1, Disp: -v.width}, 0, 3)
	LEAQ(begin(last, -v.width), until)

	if v.ascii {
		v.clear(gathered)
	}
	v.until("aligned_loop", 2, until, RBX)
	v.store(6, begin(start, 0))
	v.store(3, begin(last, -v.width))
	VMOVDQU8(v.r[2], K1, begin(last, 0))
	if v.ascii {
		VMOVDQU8_Z(v.r[2], K1, v.r[2])
	}
	v.ret(gathered, 2, 3, 6)
}

// prefetch is how many bytes ahead a loop asks for the lines it will write to.
const prefetch = 512

// until handles k vectors at a time until dst has reached last. It uses far.
//
// Beyond the first cache, what takes time is to get hold of the lines to write to:
// it asks for them early, but for none beyond the last.
func (v vectors) until(name string, k int, last, far GPPhysical) {
	CMPQ(n, U32(32<<10))
	JB(LabelRef(name))
	LEAQ(begin(last, -prefetch), far)
	Label(name + "_far")
	for line := 0; line < k*v.width; line += 64 {
		PREFETCHT0(begin(dst, prefetch+line))
		if v.width == 64 {
			PREFETCHT0(Mem{Base: dst, Index: src, Scale: 1, Disp: prefetch + line})
		}
	}
	v.body(k)
	CMPQ(dst, far)
	JB(LabelRef(name + "_far"))

	Label(name)
	v.body(k)
	CMPQ(dst, last)
	JB(LabelRef(name))
}

// body moves on by k vectors.
func (v vectors) body(k int) {
	for i := range k {
		v.xor(Mem{Base: dst, Index: src, Scale: 1, Disp: i * v.width}, 0, 7+i)
	}
	for i := range k {
		v.store(7+i, begin(dst, i*v.width))
	}
	if v.ascii {
		for i := range k {
			v.or(7+i, gathered)
		}
	}
	ADDQ(U32(k*v.width), dst)
}
