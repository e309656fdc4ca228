package deflate

// The headers of non-final blocks by type (RFC 1951 section 3.2.3).
const (
	blockStored  = 0 << 1
	blockFixed   = 1 << 1
	blockDynamic = 2 << 1
)

// fewTokens is the number of tokens below which dynamic codes can't pay for their description.
const fewTokens = 48

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
	if t.n > fewTokens {
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

// nonzero appends the indices of nonzero counts to dst.
func nonzero(dst []uint16, counts []uint16) []uint16 {
	for i, n := range counts {
		if n > 0 {
			dst = append(dst, uint16(i))
		}
	}
	return dst
}

// cost returns the size of the tokens in bits with the codes of the block.
func (b *block) cost(t *tokens, o *occurring) int {
	return b.literals.cost(o.literals, t.literals[:], literalSymbols[:]) +
		b.distances.cost(o.distances, t.distances[:], distanceSymbols[:])
}

// describe builds the optimal codes for the tokens, and returns the size of their description in
// bits.
func (b *block) describe(t *tokens, o *occurring) int {
	b.literals.build(o.literals, t.literals[:], maxCodeSize)
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

// writeTokens writes the tokens and the end-of-block symbol.
func (b *block) writeTokens(w *bitWriter, t *tokens) {
	for _, token := range t.all[:t.n] {
		if token < isMatch {
			code := b.literals.codes[token]
			w.put(code.bits(), code.size())
			continue
		}
		length, distance := int(token>>16&255), int(token&(maxWindow-1))
		i, j := lengthSymbol(length), distanceSymbol(distance)
		code, far := b.literals.codes[i], b.distances.codes[j]
		s, d := literalSymbols[i], distanceSymbols[j]
		bits, size := code.bits(), code.size()
		bits |= uint64(length+minMatch-s.value()) << size
		size += s.extraBits()
		bits |= far.bits() << size
		size += far.size()
		bits |= uint64(distance+1-d.value()) << size
		size += d.extraBits()
		w.put(bits, size)
	}
	end := b.literals.codes[endOfBlock]
	w.put(end.bits(), end.size())
}

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
