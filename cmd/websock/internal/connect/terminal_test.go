package connect

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
