package connect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
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

// keys is a lineReader of lines, ends of input (Control-D) and interrupts (Control-C).
type keys []string

func (k *keys) readLine() ([]byte, error) {
	if len(*k) == 0 {
		return nil, errors.New("the terminal is gone")
	}
	key := (*k)[0]
	*k = (*k)[1:]
	switch key {
	case "^C":
		return nil, errInterrupted
	case "^D":
		return nil, io.EOF
	}
	return []byte(key), nil
}

func TestControlCEndsASessionAndASecondOneAbortsIt(t *testing.T) {
	for typed, want := range map[string]string{
		"a b":          "a b the terminal is gone",
		"a ^D b ^D":    "a EOF",
		"a ^C b":       "a interrupt",
		"a ^D b ^C c":  "a EOF interrupt",
		"a ^C b ^C c":  "a interrupt abort",
		"a ^D ^C ^C b": "a EOF interrupt abort",
		"a ^C ^D ^C":   "a interrupt",
	} {
		typist := keys(strings.Fields(typed))
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		s := &session{typed: true, lines: &typist}
		s.inputs = s.newInputs()
		s.interrupt = func() { cancel(); got = append(got, "interrupt") }
		s.abort = func() { got = append(got, "abort") }
		s.readInputs(ctx)
		cancel()
		var passed []string
		for len(s.inputs) > 0 {
			if in := <-s.inputs; in.err != nil {
				passed = append(passed, in.err.Error())
			} else {
				passed = append(passed, string(in.line))
			}
		}
		if got := strings.Join(append(passed, got...), " "); got != want {
			t.Errorf("%s: %s, want %s", typed, got, want)
		}
	}
}

func TestTypedLinesNeverWait(t *testing.T) {
	var stderr bytes.Buffer
	s := &session{typed: true, Streams: console.Streams{Err: &stderr}}
	s.inputs = s.newInputs()
	for range maxTyped + 3 {
		s.pass(t.Context(), input{line: []byte("x")})
	}
	s.pass(t.Context(), input{err: io.EOF})
	if refused := strings.Count(stderr.String(), "not sent: "); refused != 3 || len(s.inputs) != maxTyped+1 {
		t.Errorf("%d were refused, %d wait", refused, len(s.inputs))
	}
}
