package utf8

// A Validator validates text that arrives in pieces. Its zero value is ready for
// the first one. It doesn't retain the pieces and doesn't allocate. It must not be
// used by several goroutines at once.
type Validator struct{ state state }

// Write validates the next piece of the text and reports whether the text can
// still be valid. It returns false as soon as a byte is invalid, whatever follows,
// and from then on until [Validator.Reset].
func (v *Validator) Write(p []byte) (ok bool) {
	if len(p) < vectorFrom {
		if v.state != whole || !Valid(p) {
			v.state = v.state.run(p)
		}
		return v.state != broken
	}
	for v.state != whole && v.state != broken { // at most three bytes
		v.state = v.state.run(p[:1])
		p = p[1:]
	}
	if v.state == broken {
		return false
	}
	end := len(p)
	if p[end-1] >= 0x80 {
		end -= cut(p)
	}
	if !Valid(p[:end]) {
		v.state = broken
		return false
	}
	v.state = whole.run(p[end:])
	return v.state != broken
}

// Complete reports whether the text so far is valid and ends with a whole code
// point.
func (v *Validator) Complete() bool { return v.state == whole }

// Reset prepares v for another text.
func (v *Validator) Reset() { *v = Validator{} }

// cut returns the number of bytes of an incomplete code point at the end of p.
func cut(p []byte) int {
	for n := 1; n <= 3 && n <= len(p); n++ {
		switch c := p[len(p)-n]; {
		case c >= 0xF0, c >= 0xE0 && n < 3, c >= 0xC0 && n < 2:
			return n
		case c&0xC0 != 0x80:
			return 0
		}
	}
	return 0
}
