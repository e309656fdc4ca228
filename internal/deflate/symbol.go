package deflate

// A symbol is the meaning of a code, and how to read it.
//
//	bits 0 to 3    bits of the code
//	bits 4 to 7    extra bits that follow it
//	bits 8 to 10   kind
//	bits 16 to 31  value
type symbol uint32

// The kinds of symbols.
const (
	literal   symbol = iota << 8 // the value itself
	base                         // the value plus the extra bits
	previous                     // the same for a repeat count of the previous size
	endOfData                    // of the block
	invalid                      // a code that must not be used
	long                         // a code longer than the table index

	kindBits symbol = 7 << 8
)

func newSymbol(kind symbol, value, extra int) symbol {
	return kind | symbol(value)<<16 | symbol(extra)<<4
}

func (s symbol) codeSize() uint  { return uint(s & 15) }
func (s symbol) extraBits() uint { return uint(s >> 4 & 15) }
func (s symbol) kind() symbol    { return s & kindBits }
func (s symbol) value() int      { return int(s >> 16) }

const (
	maxCodeSize   = 15
	maxLiterals   = 286 // symbols for literals, the end of the block, and lengths
	maxDistances  = 30
	endOfBlock    = 256
	maxMatch      = 258
	maxSymbolBits = maxCodeSize + 5 + maxCodeSize + 13 // a length and a distance
)

// The symbols of RFC 1951 section 3.2.5. The fixed codes have two more of either, which
// must not be used.
var (
	literalSymbols  = newLiteralSymbols()
	distanceSymbols = newDistanceSymbols()
)

func newLiteralSymbols() (all [maxLiterals + 2]symbol) {
	for i := range endOfBlock {
		all[i] = newSymbol(literal, i, 0)
	}
	all[endOfBlock] = endOfData
	length := 3
	for i := endOfBlock + 1; i < maxLiterals-1; i++ {
		extra := max(0, (i-261)/4)
		all[i] = newSymbol(base, length, extra)
		length += 1 << extra
	}
	all[maxLiterals-1] = newSymbol(base, maxMatch, 0)
	all[maxLiterals], all[maxLiterals+1] = invalid, invalid
	return all
}

func newDistanceSymbols() (all [maxDistances + 2]symbol) {
	distance := 1
	for i := range maxDistances {
		extra := max(0, i/2-1)
		all[i] = newSymbol(base, distance, extra)
		distance += 1 << extra
	}
	all[maxDistances], all[maxDistances+1] = invalid, invalid
	return all
}

// sizeSymbols are the symbols that encode the sizes of codes (RFC 1951 section 3.2.7), and sizeOrder is
// the order of the sizes of their own codes.
var (
	sizeSymbols = newSizeSymbols()
	sizeOrder   = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

func newSizeSymbols() (all [19]symbol) {
	for i := range 16 {
		all[i] = newSymbol(literal, i, 0)
	}
	all[16] = newSymbol(previous, 3, 2)
	all[17] = newSymbol(base, 3, 3)
	all[18] = newSymbol(base, 11, 7)
	return all
}
