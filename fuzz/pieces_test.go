package fuzz

// pieces calls f with the bounds of consecutive pieces of n bytes. Each byte of
// cuts is the length of a piece; the last piece takes the rest.
func pieces(n int, cuts []byte, f func(from, to int)) {
	from := 0
	for _, c := range cuts {
		to := min(from+int(c), n)
		f(from, to)
		from = to
	}
	f(from, n)
}
