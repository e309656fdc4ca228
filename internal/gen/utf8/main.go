// Command utf8 generates the amd64 kernel of package utf8.
//
// The algorithm is the one of John Keiser and Daniel Lemire, "Validating UTF-8
// In Less Than One Instruction Per Byte" (2020). Every error but a wrong count
// of continuation bytes shows in two neighbouring bytes: three tables, indexed
// by the high and the low half of the first and the high half of the second,
// give the errors each half allows, and the errors all three allow are there.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Errors of two neighbouring bytes.
const (
	tooShort     = 1 << iota // a lead byte, then none that continues it
	tooLong                  // ASCII, then a continuation
	overlong3                // 11100000 100_____
	tooLarge                 // 11110100 1001____, 11110100 101_____, 11110101 and up
	surrogate                // 11101101 101_____
	overlong2                // 1100000_ 10______
	tooLarge1000             // 11110101 1000____ and up
	twoConts                 // two continuations: an error unless a lead asks for them

	overlong4 = tooLarge1000 // 11110000 1000____, told apart by the low half
	carry     = tooShort | tooLong | twoConts
)

var (
	firstHigh = [16]byte{
		tooLong, tooLong, tooLong, tooLong, tooLong, tooLong, tooLong, tooLong,
		twoConts, twoConts, twoConts, twoConts,
		tooShort | overlong2,
		tooShort,
		tooShort | overlong3 | surrogate,
		tooShort | tooLarge | tooLarge1000 | overlong4,
	}
	firstLow = [16]byte{
		carry | overlong2 | overlong3 | overlong4,
		carry | overlong2,
		carry,
		carry,
		carry | tooLarge,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000 | surrogate,
		carry | tooLarge | tooLarge1000,
		carry | tooLarge | tooLarge1000,
	}
	secondHigh = [16]byte{
		tooShort, tooShort, tooShort, tooShort, tooShort, tooShort, tooShort, tooShort,
		tooLong | twoConts | overlong2 | overlong3 | tooLarge1000 | overlong4,
		tooLong | twoConts | overlong2 | overlong3 | tooLarge,
		tooLong | twoConts | overlong2 | surrogate | tooLarge,
		tooLong | twoConts | overlong2 | surrogate | tooLarge,
		tooShort, tooShort, tooShort, tooShort,
	}
)

// The kernel's general registers.
var (
	p    = RDI // the next byte
	last = RSI // the last vector: one width before the end
)

var data struct {
	firstHigh, firstLow, secondHigh Mem
	nibble, third, fourth, top      Mem
	whole                           Mem
}

func main() {
	ConstraintExpr("!purego")
	data.firstHigh = table("firstHigh", firstHigh[:])
	data.firstLow = table("firstLow", firstLow[:])
	data.secondHigh = table("secondHigh", secondHigh[:])
	data.nibble = table("nibble", []byte{0x0F})
	data.third = table("third", []byte{0xE0 - 0x80})
	data.fourth = table("fourth", []byte{0xF0 - 0x80})
	data.top = table("top", []byte{0x80})
	whole := make([]byte, 64)
	for i := range whole {
		whole[i] = 0xFF
	}
	copy(whole[61:], []byte{0xF0 - 1, 0xE0 - 1, 0xC0 - 1})
	data.whole = table("whole", whole)

	TEXT("valid", NOSPLIT, "func(p *byte, n int) bool")
	Pragma("noescape")
	CMPB(variable("useAVX2"), U8(0))
	JEQ(LabelRef("portable"))
	Load(Param("p"), p)
	Load(Param("n"), last)
	CMPQ(last, U8(32+3))
	JAE(LabelRef("over34"))
	kernel{"short_", 16, [15]VecPhysical{X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X14}}.build()
	Label("over34")
	CMPB(variable("useAVX512"), U8(0))
	JEQ(LabelRef("avx2"))
	CMPQ(last, U32(128))
	JAE(LabelRef("avx512"))
	Label("avx2")
	kernel{"avx2_", 32, [15]VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14}}.build()
	Label("avx512")
	kernel{"avx512_", 64, [15]VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14}}.build()
	Label("portable")
	Instruction(&ir.Instruction{Opcode: "JMP", Operands: []Op{variable("validPortable")}, IsTerminal: true})
	Generate()
}

func variable(name string) Mem {
	return Mem{Symbol: Symbol{Name: "·" + name}, Base: StaticBase}
}

// table lays b down in read-only memory.
func table(name string, b []byte) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, c := range b {
		DATA(i, U8(c))
	}
	return m
}

// kernel is the kernel in vectors of one width. Its registers are the errors
// found so far, three tables, four constants, and seven to work with.
type kernel struct {
	name  string
	width int
	r     [15]VecPhysical
}

func (k kernel) label(name string) LabelRef { return LabelRef(k.name + name) }

func (k kernel) wide() bool { return k.width == 64 }

// build handles width+3 bytes or more, from p on. It is in one of two states:
// "ascii", where no code point begins before p and ends after it, and "check",
// where that is not known. The last vector overlaps what came before it, which
// does no harm: what precedes each byte is read from memory.
func (k kernel) build() {
	errs, v, w := k.r[0], k.r[8], k.r[9]
	LEAQ(Mem{Base: p, Index: last, Scale: 1, Disp: -k.width}, last)
	k.xor(errs, errs, errs)
	k.load(p, 0, v)
	k.ascii(v, JEQ, "ascii")
	k.constants()
	k.check(p, 0, v, true)
	ADDQ(U8(k.width), p)
	JMP(k.label("checking"))

	Label(k.name + "ascii")
	ADDQ(U8(k.width), p)
	Label(k.name + "skipping")
	LEAQ(Mem{Base: last, Disp: -3 * k.width}, RAX)
	Label(k.name + "skip4")
	CMPQ(p, RAX)
	JA(k.label("skip1"))
	k.load(p, 0, v)
	k.load(p, k.width, w)
	k.or(begin(p, 2*k.width), v, v)
	k.or(begin(p, 3*k.width), w, w)
	k.or(w, v, v)
	k.ascii(v, JNE, "skip1")
	ADDQ(U32(4*k.width), p)
	JMP(k.label("skip4"))
	Label(k.name + "skip1")
	CMPQ(p, last)
	JAE(k.label("skiplast"))
	k.load(p, 0, v)
	k.ascii(v, JNE, "check")
	ADDQ(U8(k.width), p)
	JMP(k.label("skip1"))
	Label(k.name + "skiplast")
	k.load(last, 0, v)
	k.ascii(v, JEQ, "done")

	Label(k.name + "check")
	k.constants()
	Label(k.name + "checking")
	LEAQ(Mem{Base: last, Disp: -k.width}, RAX)
	Label(k.name + "check2")
	CMPQ(p, RAX)
	JA(k.label("check1"))
	k.check(p, 0, v, false)
	k.check(p, k.width, w, false)
	ADDQ(U8(2*k.width), p)
	k.or(w, v, v)
	k.ascii(v, JNE, "check2")
	JMP(k.label("skipping"))
	Label(k.name + "check1")
	CMPQ(p, last)
	JAE(k.label("checklast"))
	k.check(p, 0, v, false)
	Label(k.name + "checklast")
	k.check(last, 0, v, false)
	Comment("A lead byte among the last three, with too few after it.")
	VPSUBUSB(data.whole.Offset(64-k.width), v, v)
	k.or(v, errs, errs)

	Label(k.name + "done")
	result, err := ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	if k.wide() {
		VPTESTMB(errs, errs, K1)
		KORTESTQ(K1, K1)
	} else {
		VPTEST(errs, errs)
	}
	SETEQ(result.Addr)
	if k.width > 16 {
		VZEROUPPER()
	}
	RET()
}

// check adds the errors of the vector at base+disp, which it leaves in v. Before
// the first one there is nothing, that is, ASCII.
func (k kernel) check(base Register, disp int, v VecPhysical, first bool) {
	errs, firstHigh, firstLow, secondHigh := k.r[0], k.r[1], k.r[2], k.r[3]
	nibble, third, fourth, top := k.r[4], k.r[5], k.r[6], k.r[7]
	a, b, c, d := k.r[10], k.r[11], k.r[12], k.r[13]
	k.load(base, disp, v)
	// back sets to to the vector that begins n bytes earlier.
	back := func(n int, to VecPhysical) { k.load(base, disp-n, to) }
	if first {
		back = k.shift(v, k.r[14])
	}

	back(1, b)
	VPSRLW(U8(4), b, a)
	k.and(nibble, a, a)
	k.and(nibble, b, b)
	VPSRLW(U8(4), v, c)
	k.and(nibble, c, c)
	VPSHUFB(a, firstHigh, a)
	VPSHUFB(b, firstLow, b)
	VPSHUFB(c, secondHigh, c)
	back(2, d)
	VPSUBUSB(third, d, d)
	if k.wide() {
		VPTERNLOGD(U8(0x80), c, b, a) // a & b & c
		back(3, b)
		VPSUBUSB(fourth, b, b)
		VPTERNLOGD(U8(0xA8), top, b, d)  // (d | b) & top
		VPTERNLOGD(U8(0xF6), a, d, errs) // errs | (d ^ a)
		return
	}
	k.and(b, a, a)
	k.and(c, a, a)
	back(3, b)
	VPSUBUSB(fourth, b, b)
	k.or(b, d, d)
	k.and(top, d, d)
	k.xor(d, a, a)
	k.or(a, errs, errs)
}

// shift returns a function that sets to to v with n zeros in front. It may use
// register before.
func (k kernel) shift(v, before VecPhysical) func(n int, to VecPhysical) {
	switch k.width {
	case 16:
		return func(n int, to VecPhysical) { VPSLLDQ(U8(n), v, to) }
	case 32:
		VPERM2I128(U8(0x08), v, v, before)
	case 64:
		k.xor(before, before, before)
		VALIGNQ(U8(6), before, v, before)
	}
	// The shift works within lanes; before has the lane that precedes each.
	return func(n int, to VecPhysical) { VPALIGNR(U8(16-n), before, v, to) }
}

func (k kernel) constants() {
	for i, m := range []Mem{data.firstHigh, data.firstLow, data.secondHigh} {
		switch k.width {
		case 16:
			VMOVDQU(m, k.r[1+i])
		case 32:
			VBROADCASTI128(m, k.r[1+i])
		case 64:
			VBROADCASTI32X4(m, k.r[1+i])
		}
	}
	for i, m := range []Mem{data.nibble, data.third, data.fourth, data.top} {
		VPBROADCASTB(m, k.r[4+i])
	}
}

func (k kernel) load(base Register, disp int, to VecPhysical) {
	if k.wide() {
		VMOVDQU64(begin(base, disp), to)
	} else {
		VMOVDQU(begin(base, disp), to)
	}
}

// ascii jumps if v is all ASCII, with JEQ, or if it is not, with JNE.
func (k kernel) ascii(v VecPhysical, jump func(Op), to string) {
	if k.wide() {
		VPMOVB2M(v, K1)
		KORTESTQ(K1, K1)
	} else {
		VPMOVMSKB(v, ECX)
		TESTL(ECX, ECX)
	}
	jump(k.label(to))
}

func (k kernel) and(a Op, b, to VecPhysical) {
	if k.wide() {
		VPANDD(a, b, to)
	} else {
		VPAND(a, b, to)
	}
}

func (k kernel) or(a Op, b, to VecPhysical) {
	if k.wide() {
		VPORD(a, b, to)
	} else {
		VPOR(a, b, to)
	}
}

func (k kernel) xor(a Op, b, to VecPhysical) {
	if k.wide() {
		VPXORD(a, b, to)
	} else {
		VPXOR(a, b, to)
	}
}

func begin(base Register, disp int) Mem { return Mem{Base: base, Disp: disp} }
