package connect

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestPipeReadsLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, test := range []struct {
		text  string
		lines []string
		end   error
	}{
		{"", nil, io.EOF},
		{"a\nb\r\n\nc", []string{"a", "b", "", "c"}, io.EOF},
		{"a\n" + long[:70000] + "\nb\n", []string{"a", long[:70000], "b"}, io.EOF},
		{long + "\r\nb", []string{long, "b"}, io.EOF},
		{long, []string{long}, io.EOF},
		{"a\n" + long + "x\nb", []string{"a"}, errLineTooLong},
	} {
		p := newPipe(strings.NewReader(test.text))
		var lines []string
		for {
			line, err := p.readLine()
			if err == nil {
				lines = append(lines, string(line))
				continue
			}
			if !errors.Is(err, test.end) || !slices.Equal(lines, test.lines) {
				t.Errorf("%d bytes: %d lines, %v", len(test.text), len(lines), err)
			}
			break
		}
	}
}
