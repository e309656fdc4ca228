package connect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/term"
)

func TestAKeyEndsTheLinesOfATerminalOnce(t *testing.T) {
	for typed, want := range map[string]string{
		"a\r\x03":         "a interrupted EOF",
		"a\x03b\r\x03":    "interrupted interrupted EOF",
		"\x03\x03":        "interrupted interrupted EOF",
		"\x03\x04\x03":    "interrupted interrupted EOF",
		"a\r\x04":         "a EOF EOF",
		"a\r":             "a EOF EOF",
		"\x1b[200~\x03\r": "\x03 EOF EOF", // in a paste it is no key
	} {
		t.Run(typed, func(t *testing.T) {
			for _, from := range []io.Reader{strings.NewReader(typed), iotest.OneByteReader(strings.NewReader(typed))} {
				if got := readThrice(from); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
	// The key after Control-D is known as another one only if it comes by itself.
	if got := readThrice(iotest.OneByteReader(strings.NewReader("\x04a\r\x03"))); got != "EOF interrupted EOF" {
		t.Error(got)
	}
}

// readThrice returns three results of readLine of a terminal on which from is typed.
func readThrice(from io.Reader) string {
	terminal := &terminal{screen: -1, keys: keyReader{Reader: from}}
	terminal.Terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{&terminal.keys, io.Discard}, "")
	var got []string
	for range 3 {
		switch line, err := terminal.readLine(); {
		case err == nil:
			got = append(got, string(line))
		case errors.Is(err, errInterrupted):
			got = append(got, "interrupted")
		default:
			got = append(got, err.Error())
		}
	}
	return strings.Join(got, " ")
}

func linesOf(h *history) (lines []string) {
	for i := range h.Len() {
		lines = append(lines, h.At(i))
	}
	return lines
}

func TestHistoryIsKeptInItsFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "history")
	h, err := openHistory(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"one", "", "two", "two", "one"} {
		h.Add(line)
	}
	want := []string{"one", "two", "one"}
	if got := linesOf(h); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	h.close()
	if h, err = openHistory(name); err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if got := linesOf(h); !slices.Equal(got, want) {
		t.Errorf("the next time: %q", got)
	}
	h.Add("three")
	if text, _ := os.ReadFile(name); string(text) != "one\ntwo\none\nthree\n" {
		t.Errorf("%q", text)
	}
}

func TestOnlyTheNewestLinesOfAHistoryAreRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "history")
	var text strings.Builder
	for i := range maxHistory + 5 {
		fmt.Fprintln(&text, i)
	}
	os.WriteFile(name, []byte(text.String()), 0o600)
	h, err := openHistory(name)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if h.Len() != maxHistory || h.At(0) != fmt.Sprint(maxHistory+4) || h.At(maxHistory-1) != "5" {
		t.Errorf("%d lines, %s to %s", h.Len(), h.At(maxHistory-1), h.At(0))
	}
}

func TestHistoryRefusesOtherFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "data")
	os.WriteFile(name, make([]byte, 1<<17), 0o600)
	if _, err := openHistory(name); err == nil || !strings.Contains(err.Error(), name) {
		t.Error(err)
	}
	if _, err := openHistory(t.TempDir()); err == nil {
		t.Error("a directory")
	}
}
