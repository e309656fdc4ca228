// Package console holds what the commands share for talking to people: the standard streams,
// and text that is readable, and harmless, on a terminal.
package console

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Streams are the standard streams of a command.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// IsTerminal reports whether a stream is connected to a terminal.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Printable escapes whatever a terminal could interpret as a command. Graphic characters,
// spaces, tabs and newlines stay; everything else is written as in a Go string literal.
func Printable(text []byte) []byte {
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

// Grouped formats a number without decimals, its digits in groups of three.
func Grouped[N int | int64 | float64](n N) string {
	digits := strconv.FormatFloat(float64(n), 'f', 0, 64)
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// ErrorText returns an error's text without the package name that the library puts first.
func ErrorText(err error) string { return strings.TrimPrefix(err.Error(), "websock: ") }
