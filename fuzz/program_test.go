package fuzz

// A program is fuzzed bytes taken for instructions. At its end it goes on with zeros.
type program []byte

// next takes one byte.
func (p *program) next() byte {
	if len(*p) == 0 {
		return 0
	}
	b := (*p)[0]
	*p = (*p)[1:]
	return b
}

// take takes up to n bytes.
func (p *program) take(n int) []byte {
	n = min(n, len(*p))
	taken := (*p)[:n:n]
	*p = (*p)[n:]
	return taken
}

// ended reports whether there is nothing left to take.
func (p *program) ended() bool { return len(*p) == 0 }
