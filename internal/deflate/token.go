package deflate

import (
	"encoding/binary"
	"math/bits"
)

// A token is a number of literals and a match that follows them. The literals themselves are in
// tokens.text.
//
//	bits 0 to 15   the number of literals
//	bits 16 to 23  the length of the match, less 3
//	bits 24 to 28  its symbol, less 257
//	bits 32 to 46  the distance, less 1
//	bits 48 to 52  its symbol
type token uint64

const minMatch = 3

func (t token) literals() int       { return int(t & 0xffff) }
func (t token) length() uint64      { return uint64(t >> 16 & 255) }
func (t token) lengthSymbol() int   { return int(t >> 24 & 31) }
func (t token) distance() uint64    { return uint64(t >> 32 & (maxWindow - 1)) }
func (t token) distanceSymbol() int { return int(t >> 48 & 31) }

// tokens holds the tokens of a block and the frequencies of their symbols.
type tokens struct {
	n         int
	pending   int // literals since the last match
	textSize  int // all literals
	symbols   int // literals and matches
	all       [chunkSize/anchor + 1]token
	text      [chunkSize + 8]byte // the literals, and what is written and read ahead
	literals  [maxLiterals]uint16
	distances [maxDistances]uint16
}

func (t *tokens) reset() {
	t.n, t.pending, t.textSize = 0, 0, 0
	t.literals = [maxLiterals]uint16{endOfBlock: 1}
	t.distances = [maxDistances]uint16{}
}

// addLiterals adds data[from:to]. It copies eight bytes at once, as few literals follow each other.
func (t *tokens) addLiterals(data []byte, from, to int) {
	n := to - from
	if n <= 8 && from+8 <= len(data) {
		binary.LittleEndian.PutUint64(t.text[t.textSize:], load8(data, from))
	} else {
		copy(t.text[t.textSize:], data[from:to])
	}
	t.textSize += n
	t.pending += n
}

// addMatch adds a match of any length of at least 4.
func (t *tokens) addMatch(length, distance int) {
	if length > maxMatch {
		length = t.addLong(length, distance)
	}
	t.add(length, distance)
}

// addLong adds parts of a match that is too long for one token, and returns the length of the rest.
func (t *tokens) addLong(length, distance int) int {
	for length > maxMatch {
		n := min(maxMatch, length-anchor) // the rest must be long enough, too
		t.add(n, distance)
		length -= n
	}
	return length
}

func (t *tokens) add(length, distance int) {
	t.all[t.n] = token(t.pending) | token(length-minMatch)<<16 | token(distance-1)<<32
	t.n++
	t.pending = 0
}

// finish adds a token without a match for the literals after the last match, finds the symbols of all
// tokens, and counts them.
func (t *tokens) finish() {
	t.symbols = t.n + t.textSize
	for _, c := range t.text[:t.textSize] {
		t.literals[c]++
	}
	for k, match := range t.all[:t.n] {
		i, j := lengthIndex[match.length()&255], distanceSymbol(match.distance())&31
		t.all[k] = match | token(i)<<24 | token(j)<<48
		t.literals[endOfBlock+1+int(i)]++
		t.distances[j]++
	}
	t.all[t.n] = token(t.pending)
}

// lengthIndex maps each length less 3 to its symbol less 257.
var lengthIndex = newLengthIndex()

func newLengthIndex() (all [256]uint8) {
	for i := endOfBlock + 1; i < maxLiterals; i++ {
		s := literalSymbols[i]
		for j := range 1 << s.extraBits() {
			all[s.value()-minMatch+j] = uint8(i - endOfBlock - 1) // the last one, 258, overwrites
		}
	}
	return all
}

// distanceSymbol returns the symbol of a distance, less 1: there are two for each number of extra bits,
// which follow the highest two bits.
func distanceSymbol(distance uint64) uint64 {
	extra := uint64(max(bits.Len64(distance), 2) - 2)
	return 2*extra + distance>>(extra&63)
}

// lengthExtra and distanceExtra have the numbers of extra bits of the symbols.
var lengthExtra, distanceExtra = newExtras()

func newExtras() (lengths, distances [32]uint8) {
	for i := range maxLiterals - endOfBlock - 1 {
		lengths[i] = uint8(literalSymbols[endOfBlock+1+i].extraBits())
	}
	for i := range maxDistances {
		distances[i] = uint8(distanceSymbols[i].extraBits())
	}
	return lengths, distances
}
