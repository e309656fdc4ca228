package conformance

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write docs/conformance.md")

const document = "../../docs/conformance.md"

// families names the families of cases by the first part of a case's number.
var families = []struct{ number, name string }{
	{"1", "Framing"},
	{"2", "Pings and pongs"},
	{"3", "Reserved bits"},
	{"4", "Opcodes"},
	{"5", "Fragmentation"},
	{"6", "UTF-8"},
	{"7", "Closing handshake"},
	{"9", "Sizes and limits"},
	{"10", "Automatic fragmentation"},
	{"12", "Compression of different contents"},
	{"13", "Compression with different parameters"},
}

func (r row) family() string {
	family, _, _ := strings.Cut(r.number, ".")
	return family
}

// A tally counts the cases of each family that passed in each place.
type tally struct {
	mu     sync.Mutex
	passed map[[2]string]int // by the names of the place and the family
	ran    int
}

func newTally() *tally { return &tally{passed: map[[2]string]int{}} }

func (t *tally) count(p place, r row, passed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ran++
	if passed {
		t.passed[[2]string{p.name, r.family()}]++
	}
}

// describe returns the document.
func (t *tally) describe(places []place, rows []row) string {
	var b strings.Builder
	b.WriteString(`# Conformance

The cases of package internal/conformance, in both roles. A case passes only if every byte sent
back is what the RFCs require, in order and in time. There are no exceptions, and a "non-strict"
result counts as a failure. The numbers are those of the Autobahn test suite if it has the case;
[the package](../internal/conformance/doc.go) explains how they correspond and how the cases are
run in each column.

A test writes this page: ` + "`go test ./internal/conformance -update`" + `.

| Family | Cases |`)
	line := "|---|---:|"
	for _, p := range places {
		b.WriteString(" " + p.name + " |")
		line += "---:|"
	}
	b.WriteString(" Result |\n" + line + "---|\n")
	cases := map[string]int{}
	for _, r := range rows {
		cases[r.family()]++
	}
	for _, f := range families {
		fmt.Fprintf(&b, "| %s %s | %d |", f.number, f.name, cases[f.number])
		result := "all OK"
		for _, p := range places {
			passed := t.passed[[2]string{p.name, f.number}]
			fmt.Fprintf(&b, " %d |", passed)
			if passed != cases[f.number] {
				result = "**fails**"
			}
		}
		fmt.Fprintf(&b, " %s |\n", result)
	}
	b.WriteString("\n## The cases\n")
	for _, f := range families {
		fmt.Fprintf(&b, "\n### %s %s\n\n", f.number, f.name)
		for _, r := range rows {
			if r.family() == f.number {
				fmt.Fprintf(&b, "- %s: %s\n", r.number, r.behaviour)
			}
		}
	}
	return b.String()
}

// compare compares the document with the tally, or writes it.
func (t *tally) compare(tt *testing.T, places []place, rows []row) {
	if t.ran != len(places)*len(rows) {
		tt.Skip("not all cases ran in all places")
	}
	text := t.describe(places, rows)
	if *update {
		if err := os.MkdirAll(filepath.Dir(document), 0o755); err != nil {
			tt.Fatal(err)
		}
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			tt.Fatal(err)
		}
	}
	written, err := os.ReadFile(document)
	if err != nil {
		tt.Fatal(err)
	}
	if strings.ReplaceAll(string(written), "\r\n", "\n") != text {
		tt.Error("docs/conformance.md is not up to date: run this test with -update")
	}
}
