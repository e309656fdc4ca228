package utf8

// A state of the automaton that validates byte by byte. Its value is a bit offset in the words of
// transitions, where they have the next state.
type state uint8

const (
	whole   state = 6 * iota // no code point is cut
	broken                   // the text is not valid, whatever follows
	more1                    // one continuation byte is missing
	more2                    // two
	more3                    // three
	afterE0                  // two, the first of them at least A0: no overlong form
	afterED                  // two, the first of them at most 9F: no surrogate
	afterF0                  // three, the first of them at least 90: no overlong form
	afterF4                  // three, the first of them at most 8F: at most U+10FFFF
)

// transitions has a word for each byte, with six bits for each state: the next state. So a byte costs a
// load, which doesn't depend on the state, and a shift, which does.
var transitions = func() (words [256]uint64) {
	for b := range words {
		for from := whole; from <= afterF4; from += 6 {
			words[b] |= uint64(broken) << from
		}
	}
	// The syntax of RFC 3629, section 4.
	for _, rule := range []struct {
		from      state
		low, high int
		to        state
	}{
		{whole, 0x00, 0x7F, whole},
		{whole, 0xC2, 0xDF, more1},
		{whole, 0xE0, 0xE0, afterE0},
		{whole, 0xE1, 0xEC, more2},
		{whole, 0xED, 0xED, afterED},
		{whole, 0xEE, 0xEF, more2},
		{whole, 0xF0, 0xF0, afterF0},
		{whole, 0xF1, 0xF3, more3},
		{whole, 0xF4, 0xF4, afterF4},
		{afterE0, 0xA0, 0xBF, more1},
		{afterED, 0x80, 0x9F, more1},
		{afterF0, 0x90, 0xBF, more2},
		{afterF4, 0x80, 0x8F, more2},
		{more3, 0x80, 0xBF, more2},
		{more2, 0x80, 0xBF, more1},
		{more1, 0x80, 0xBF, whole},
	} {
		for b := rule.low; b <= rule.high; b++ {
			words[b] ^= uint64(broken^rule.to) << rule.from
		}
	}
	return words
}()

// run returns the state that p leads to.
func (s state) run(p []byte) state {
	word := uint64(s)
	for _, b := range p {
		word = transitions[b] >> (word & 63)
	}
	return state(word & 63)
}
