package main

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// printable returns text that does nothing to a terminal but appear on it: all else than
// letters, signs, spaces and the ends of lines is written as Go writes it in strings.
func printable(text []byte) []byte {
	var b bytes.Buffer
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[0])|0x100, 16)[1:])
		case strconv.IsGraphic(r), r == '\n', r == '\t':
			b.Write(text[:n])
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[n:]
	}
	return b.Bytes()
}
