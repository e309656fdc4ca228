package deflate

import "encoding/binary"

// The headers of non-final blocks by type (RFC 1951 section 3.2.3).
const (
	blockStored  = 0 << 1
	blockFixed   = 1 << 1
	blockDynamic = 2 << 1
)

// fewTokens is the number of tokens below which dynamic codes can't pay for their description.
const fewTokens = 48

// maxLiteralSize bounds the sizes of the codes that are written for literals and lengths, so that four of
// them and the rest of a byte fit in 64 bits.
const maxLiteralSize = 14

// A block writes tokens as the smallest type of block.
type block struct {
	literals, distances, sizes huffman
	runs                       runs
	occurring                  occurring
}

// fixed are the fixed codes (RFC 1951 section 3.2.6).
var fixed = newFixedCodes()

func newFixedCodes() *block {
	b := &block{}
	literalSizes, distanceSizes := fixedSizes()
	b.literals.fix(literalSizes[:])
	b.distances.fix(distanceSizes[:])
	return b
}

// write writes a block with the tokens of data.
func (b *block) write(w *bitWriter, t *tokens, data []byte) {
	o := &b.occurring
	o.list(t)
	stored := 8 * (len(data) + maxStoredHeader)
	size := 3 + fixed.cost(t, o)
	codes := fixed
	if t.symbols > fewTokens {
		if s := b.describe(t, o) + b.cost(t, o); s < size {
			size, codes = s, b
		}
	}
	switch {
	case size >= stored:
		w.store(data)
		return
	case codes == fixed:
		w.put(blockFixed, 3)
	default:
		b.writeDescription(w)
	}
	codes.writeTokens(w, t)
}

// occurring holds the symbols that occur, in ascending order.
type occurring struct {
	literals, distances, sizes []uint16
	memory                     [maxLiterals + maxDistances + len(sizeSymbols)]uint16
}

func (o *occurring) list(t *tokens) {
	o.literals = nonzero(o.memory[:0], t.literals[:])
	o.distances = nonzero(o.memory[maxLiterals:maxLiterals], t.distances[:])
}

// nonzero appends the indices of nonzero counts to dst, which is empty and has room for all, without
// branches that the processor would have to predict.
func nonzero(dst []uint16, counts []uint16) []uint16 {
	dst = dst[:len(counts)]
	n := 0
	for i, count := range counts {
		dst[n] = uint16(i)
		if count > 0 {
			n++
		}
	}
	return dst[:n]
}

// cost returns the size of the tokens in bits with the codes of the block.
func (b *block) cost(t *tokens, o *occurring) int {
	return b.literals.cost(o.literals, t.literals[:], literalSymbols[:]) +
		b.distances.cost(o.distances, t.distances[:], distanceSymbols[:])
}

// describe builds the optimal codes for the tokens, and returns the size of their description in
// bits.
func (b *block) describe(t *tokens, o *occurring) int {
	b.literals.build(o.literals, t.literals[:], maxLiteralSize)
	b.distances.build(o.distances, t.distances[:], maxCodeSize)
	r := &b.runs
	r.count(b.literals.sizes[:maxLiterals], b.distances.sizes[:maxDistances])
	o.sizes = nonzero(o.memory[maxLiterals+maxDistances:][:0], r.counts[:])
	b.sizes.build(o.sizes, r.counts[:], sizeBits)
	for r.codes = len(sizeOrder); r.codes > 4 && b.sizes.sizes[sizeOrder[r.codes-1]] == 0; r.codes-- {
	}
	return 3 + 5 + 5 + 4 + 3*r.codes + b.sizes.cost(o.sizes, r.counts[:], sizeSymbols[:])
}

// writeDescription writes the header of a block with dynamic codes (RFC 1951 section 3.2.7).
func (b *block) writeDescription(w *bitWriter) {
	r := &b.runs
	w.put(blockDynamic, 3)
	w.put(uint64(r.literals-257), 5)
	w.put(uint64(r.distances-1), 5)
	w.put(uint64(r.codes-4), 4)
	for _, i := range sizeOrder[:r.codes] {
		w.put(uint64(b.sizes.sizes[i]), 3)
	}
	for _, run := range r.all[:r.n] {
		code := b.sizes.codes[run.symbol]
		w.put(code.bits()|uint64(run.extra)<<code.size(), code.size()+sizeSymbols[run.symbol].extraBits())
	}
}

// writeTokens writes the tokens and the end-of-block symbol. It keeps the bits in variables, and moves them
// to memory once for up to four literals or a match.
func (b *block) writeTokens(w *bitWriter, t *tokens) {
	literals, distances := &b.literals.codes, &b.distances.codes
	text := t.text[:]
	out, n, bits, have := w.b, w.n, w.bits, w.have
	for i := 0; ; i++ {
		token := t.all[i]
		p := text[:token.literals()]
		text = text[token.literals():]
		for ; len(p) >= 4; p = p[4:] {
			c0, c1, c2, c3 := literals[p[0]], literals[p[1]], literals[p[2]], literals[p[3]]
			first := c0.bits() | c1.bits()<<(c0.size()&63)
			second := c2.bits() | c3.bits()<<(c2.size()&63)
			bits |= first << (have & 63)
			have += c0.size() + c1.size()
			bits |= second << (have & 63)
			have += c2.size() + c3.size()
			n, bits, have = spill(out, n, bits, have)
		}
		// All of the next three literals are looked up and those that aren't there masked, since their
		// number can't be predicted.
		mask := &masks[len(p)&3]
		p = p[:3]
		c0, c1, c2 := literals[p[0]]&mask[0], literals[p[1]]&mask[1], literals[p[2]]&mask[2]
		bits |= (c0.bits() | c1.bits()<<(c0.size()&63)) << (have & 63)
		have += c0.size() + c1.size()
		bits |= c2.bits() << (have & 63)
		have += c2.size()
		n, bits, have = spill(out, n, bits, have)
		if i == t.n {
			break
		}
		length, distance := token.lengthSymbol(), token.distanceSymbol()
		code, far := literals[endOfBlock+1+length], distances[distance]
		lengthBits, distanceBits := lengthExtra[length], distanceExtra[distance]
		near := code.bits() | (token.length()&(1<<(lengthBits&63)-1))<<(code.size()&63)
		away := far.bits() | (token.distance()&(1<<(distanceBits&63)-1))<<(far.size()&63)
		bits |= near << (have & 63)
		have += code.size() + uint(lengthBits)
		bits |= away << (have & 63)
		have += far.size() + uint(distanceBits)
		n, bits, have = spill(out, n, bits, have)
	}
	w.n, w.bits, w.have = n, bits, have
	end := literals[endOfBlock]
	w.put(end.bits(), end.size())
}

// spill moves whole bytes of bits to out[n:]. Less than a byte is left.
func spill(out []byte, n int, bits uint64, have uint) (int, uint64, uint) {
	binary.LittleEndian.PutUint64(out[n:], bits)
	return n + int(have>>3), bits >> (have & 56), have & 7
}

// masks has for each number of literals below four the masks of the codes of three.
var masks = [4][3]bitCode{{}, {^bitCode(0)}, {^bitCode(0), ^bitCode(0)}, {^bitCode(0), ^bitCode(0), ^bitCode(0)}}

// runs holds the sizes of codes as they are written: run-length encoded (RFC 1951 section 3.2.7).
type runs struct {
	literals, distances, codes int // numbers of codes described
	n                          int
	all                        [maxLiterals + maxDistances]run
	counts                     [len(sizeSymbols)]uint16
}

type run struct{ symbol, extra uint8 }

const (
	repeatPrevious = 16
	repeatZero     = 17
	repeatZeroMore = 18
)

// count finds the runs in the sizes of the codes and counts their symbols.
func (r *runs) count(literals, distances []uint8) {
	r.n = 0
	r.counts = [len(sizeSymbols)]uint16{}
	r.literals = used(literals, 257)
	r.distances = used(distances, 1)
	r.add(literals[:r.literals])
	r.add(distances[:r.distances])
}

// used returns the number of sizes up to the last nonzero one, but at least least.
func used(sizes []uint8, least int) int {
	n := len(sizes)
	for n > least && sizes[n-1] == 0 {
		n--
	}
	return n
}

func (r *runs) add(sizes []uint8) {
	for len(sizes) > 0 {
		size := sizes[0]
		n := 1
		for n < len(sizes) && sizes[n] == size {
			n++
		}
		sizes = sizes[n:]
		if size == 0 {
			r.addZeros(n)
			continue
		}
		r.addRun(size, 0)
		r.addRepeats(size, n-1)
	}
}

func (r *runs) addZeros(n int) {
	for ; n >= 11; n -= min(n, 138) {
		r.addRun(repeatZeroMore, min(n, 138)-11)
	}
	if n >= 3 {
		r.addRun(repeatZero, n-3)
		return
	}
	for range n {
		r.addRun(0, 0)
	}
}

func (r *runs) addRepeats(size uint8, n int) {
	for ; n >= 3; n -= min(n, 6) {
		r.addRun(repeatPrevious, min(n, 6)-3)
	}
	for range n {
		r.addRun(size, 0)
	}
}

func (r *runs) addRun(symbol uint8, extra int) {
	r.all[r.n] = run{symbol, uint8(extra)}
	r.n++
	r.counts[symbol]++
}
