package utf8

// Validator validates text that arrives in pieces. Its zero value is ready for
// the first one. It neither keeps the pieces nor allocates. It must not be used
// by two goroutines at once.
type Validator struct {
	// A code point was cut: rest bytes of it are missing, and the next one must
	// lie in [lo, hi]. After a failure that range is empty for good.
	rest, lo, hi uint8
}

// Write takes the next piece of the text and reports whether the text can still
// be valid. It fails as soon as a byte has arrived that cannot stand where it
// does, whatever may follow. Once it has failed it fails until [Validator.Reset].
func (v *Validator) Write(p []byte) (ok bool) {
	if v.rest > 0 {
		p = v.step(p)
		if v.rest > 0 {
			return v.lo <= v.hi
		}
	}
	whole := len(p) - cut(p)
	if !Valid(p[:whole]) {
		v.rest, v.lo, v.hi = 1, 1, 0
		return false
	}
	if whole < len(p) {
		v.rest, v.lo, v.hi = lead(p[whole])
		v.step(p[whole+1:])
	}
	return v.lo <= v.hi
}

// Complete reports whether the text so far is valid and ends with a whole code
// point.
func (v *Validator) Complete() bool { return v.rest == 0 }

// Reset prepares v for another text.
func (v *Validator) Reset() { *v = Validator{} }

// step takes the missing bytes of the cut code point from the front of p, stops
// at one that does not fit, and returns the rest of p.
func (v *Validator) step(p []byte) []byte {
	for i, c := range p {
		if c < v.lo || c > v.hi {
			v.rest, v.lo, v.hi = 1, 1, 0
			return nil
		}
		v.rest, v.lo, v.hi = v.rest-1, 0x80, 0xBF
		if v.rest == 0 {
			return p[i+1:]
		}
	}
	return nil
}

// lead says how many bytes follow the first byte c of a code point longer than
// one byte, and the range of the first of them (RFC 3629, section 4).
func lead(c byte) (rest, lo, hi uint8) {
	switch {
	case c == 0xE0:
		return 2, 0xA0, 0xBF
	case c == 0xED:
		return 2, 0x80, 0x9F
	case c == 0xF0:
		return 3, 0x90, 0xBF
	case c == 0xF4:
		return 3, 0x80, 0x8F
	case c >= 0xF5 || c < 0xC2:
		return 1, 1, 0
	case c >= 0xF0:
		return 3, 0x80, 0xBF
	case c >= 0xE0:
		return 2, 0x80, 0xBF
	default:
		return 1, 0x80, 0xBF
	}
}

// cut returns how many bytes at the end of p belong to a code point that p
// begins but does not finish.
func cut(p []byte) int {
	for n := 1; n <= 3 && n <= len(p); n++ {
		switch c := p[len(p)-n]; {
		case c >= 0xF0 && n < 4, c >= 0xE0 && n < 3, c >= 0xC0 && n < 2:
			return n
		case c&0xC0 != 0x80:
			return 0
		}
	}
	return 0
}
