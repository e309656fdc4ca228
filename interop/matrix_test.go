package interop

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

var update = flag.Bool("update", false, "write docs/interop.md instead of comparing with it")

const document = "../docs/interop.md"

// A partner echoes in one role. notes explains the features that it lacks.
type partner struct {
	name  string
	opens func(t *testing.T, c *certificate) func(t *testing.T, v variant) *websock.Conn
	notes map[string]string // by feature
}

// TestMatrix compares the rows of all partners that are installed.
func TestMatrix(t *testing.T) {
	notes := &footnotes{}
	var text strings.Builder
	text.WriteString(introduction)
	for _, side := range []struct {
		title    string
		partners []partner
	}{
		{"Our client with other servers", servers},
		{"Our server with other clients", clients},
	} {
		fmt.Fprintf(&text, "\n## %s\n\n|", side.title)
		for _, f := range features {
			fmt.Fprintf(&text, " | %s", f.name)
		}
		fmt.Fprintf(&text, " |\n|---%s|\n", strings.Repeat("|---", len(features)))
		for _, p := range side.partners {
			t.Run(p.name, func(t *testing.T) {
				fmt.Fprintf(&text, "| %s | %s |\n", p.name, strings.Join(p.play(t, notes), " | "))
			})
		}
	}
	text.WriteString(notes.String())
	if *update {
		if err := os.WriteFile(document, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	known, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if !strings.Contains(string(known), line) {
			t.Errorf("%s lacks this line; -update writes it:\n%s", document, line)
		}
	}
}

const introduction = `# Interoperability

Our client with servers of other projects, and our server with their clients. Every partner echoes.
For each "–" a note gives the reason. A closing handshake passes if both sides have sent the close
code. ` + "`go test -run TestMatrix -update`" + ` in ` + "`interop`" + ` writes this page, and CI compares it.
`

// play tests every feature of a partner.
func (p *partner) play(t *testing.T, notes *footnotes) (cells []string) {
	c := newCertificate(t, folder(t))
	open := p.opens(t, c)
	conns := map[variant]*websock.Conn{}
	for _, f := range features {
		if note, ok := p.notes[f.name]; ok {
			cells = append(cells, "–"+notes.mark(note))
			continue
		}
		conn := conns[f.variant]
		if conn == nil {
			conn = open(t, f.variant)
			conns[f.variant] = conn
			defer conn.Close()
		}
		switch err := f.check(conn); {
		case err == nil:
			cells = append(cells, "OK")
		case errors.Is(err, errOneWay):
			cells = append(cells, "OK"+notes.mark(err.Error()))
		case errors.Is(err, errCannot):
			cells = append(cells, "–"+notes.mark(err.Error()))
		default:
			t.Errorf("%s: %v", f.name, err)
			cells = append(cells, "FAILED")
		}
	}
	return cells
}

// footnotes are numbered in the order of their first use.
type footnotes struct{ texts []string }

func (n *footnotes) mark(text string) string {
	for i, known := range n.texts {
		if known == text {
			return fmt.Sprintf(" (%d)", i+1)
		}
	}
	n.texts = append(n.texts, text)
	return fmt.Sprintf(" (%d)", len(n.texts))
}

func (n *footnotes) String() string {
	text := "\n"
	for i, note := range n.texts {
		text += fmt.Sprintf("%d. %s\n", i+1, note)
	}
	return text
}
