package deflate

// A token is a literal, or a length and a distance.
//
//	bit 31         set for a length and a distance
//	bits 16 to 23  the length, less 3; of a literal 0
//	bits 0 to 14   the distance, less 1; or the literal
type token uint32

const (
	isMatch  token = 1 << 31
	minMatch       = 3
)

// tokens holds the tokens of a block and the frequencies of their symbols.
type tokens struct {
	n         int
	all       [chunkSize]token
	literals  [maxLiterals]uint16
	distances [maxDistances]uint16
}

func (t *tokens) reset() {
	t.n = 0
	t.literals = [maxLiterals]uint16{endOfBlock: 1}
	t.distances = [maxDistances]uint16{}
}

func (t *tokens) addLiterals(p []byte) {
	room := t.all[t.n:][:len(p)]
	for i, c := range p {
		room[i] = token(c)
		t.literals[c]++
	}
	t.n += len(p)
}

// addMatch adds a match of any length of at least 4.
func (t *tokens) addMatch(length, distance int) {
	for length > maxMatch {
		n := min(maxMatch, length-4) // the rest must be long enough, too
		t.addOne(n, distance)
		length -= n
	}
	t.addOne(length, distance)
}

func (t *tokens) addOne(length, distance int) {
	t.all[t.n] = isMatch | token(length-minMatch)<<16 | token(distance-1)
	t.n++
	t.literals[lengthSymbol(length-minMatch)]++
	t.distances[distanceSymbol(distance-1)]++
}

// lengthIndex maps each length less 3 to its symbol less 257. distanceIndex maps each distance less 1
// below 256 to its symbol, and then every 128th distance, for all with the same higher bits.
var lengthIndex, distanceIndex = newIndexes()

func newIndexes() (lengths [256]uint8, distances [512]uint8) {
	for i := endOfBlock + 1; i < maxLiterals; i++ {
		s := literalSymbols[i]
		for j := range 1 << s.extraBits() {
			lengths[s.value()-minMatch+j] = uint8(i - endOfBlock - 1) // the last one, 258, overwrites
		}
	}
	for i := range maxDistances {
		s := distanceSymbols[i]
		for j := range 1 << s.extraBits() {
			if d := s.value() - 1 + j; d < 256 {
				distances[d] = uint8(i)
			} else {
				distances[256+d>>7] = uint8(i)
			}
		}
	}
	return lengths, distances
}

// lengthSymbol returns the symbol of a length, less 3.
func lengthSymbol(length int) int { return endOfBlock + 1 + int(lengthIndex[uint8(length)]) }

// distanceSymbol returns the symbol of a distance, less 1.
func distanceSymbol(distance int) int {
	if distance < 256 {
		return int(distanceIndex[distance])
	}
	return int(distanceIndex[256+(distance>>7)&255])
}
