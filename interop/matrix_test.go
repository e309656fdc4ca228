package interop

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

var update = flag.Bool("update", false, "write docs/interop.md instead of comparing with it")

const document = "../docs/interop.md"

// A partner echoes in one role. notes explains the features that it lacks.
type partner struct {
	name    string
	version func(t *testing.T) string // nil: that of its module
	opens   func(t *testing.T, c *certificate) opener
	notes   map[string]string // by feature
}

// versionNumber matches versions of partners, which are those of the last -update.
var versionNumber = regexp.MustCompile(` [0-9]+(\.[0-9]+)+`)

// TestMatrix compares the rows of all partners that are installed.
func TestMatrix(t *testing.T) {
	notes := &footnotes{}
	var text strings.Builder
	text.WriteString(introduction)
	for _, side := range []struct {
		title    string
		features []feature
		partners []partner
	}{
		{"Our client with other servers", features, servers},
		{"Our server with other clients", features, clients},
		{"Our client with other servers, over HTTP/2", streamFeatures, streamServers},
		{"Our server with other clients, over HTTP/2", streamFeatures, streamClients},
		{"Our client with other servers, over HTTP/3", http3Features, http3Servers},
		{"Our server with other clients, over HTTP/3", http3Features, http3Clients},
	} {
		fmt.Fprintf(&text, "\n## %s\n\n|", side.title)
		for _, f := range side.features {
			fmt.Fprintf(&text, " | %s", f.name)
		}
		fmt.Fprintf(&text, " |\n|---%s|\n", strings.Repeat("|---", len(side.features)))
		for _, p := range side.partners {
			t.Run(p.name, func(t *testing.T) {
				cells := p.play(t, side.features, notes)
				name := p.name
				if p.version != nil {
					name += " " + p.version(t)
				}
				fmt.Fprintf(&text, "| %s | %s |\n", name, strings.Join(cells, " | "))
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
	rows := versionNumber.ReplaceAllString(string(known), "")
	for line := range strings.Lines(text.String()) {
		if !strings.Contains(rows, versionNumber.ReplaceAllString(line, "")) {
			t.Errorf("%s lacks this line; -update writes it:\n%s", document, line)
		}
	}
}

const introduction = `# Interoperability

Our client with servers of other projects, and our server with their clients. Every partner echoes.
For each "–" a note gives the reason. A closing handshake passes if both sides have sent the close
code. ` + "`go test -run TestMatrix -update`" + ` in ` + "`interop`" + ` writes this page, and CI compares it.

Over HTTP/2 (RFC 8441) WebSockets share connections: 50 are used at once, and one goes on beside one
that isn't read. This is tested with TLS; h2c is 50 at once without it. Over HTTP/3 (RFC 9220) they do
the same. CI doesn't compare the versions, which are those of the last update.
`

// play tests every feature of a partner.
func (p *partner) play(t *testing.T, features []feature, notes *footnotes) (cells []string) {
	c := newCertificate(t, folder(t))
	open := p.opens(t, c)
	conns := map[variant]*websock.Conn{}
	for _, f := range features {
		if note, ok := p.notes[f.name]; ok {
			cells = append(cells, "–"+notes.mark(note))
			continue
		}
		var err error
		if f.several != nil {
			err = f.several(func() (*websock.Conn, error) { return open(t, f.variant) })
		} else {
			conn := conns[f.variant]
			if conn == nil {
				if conn, err = open(t, f.variant); err != nil {
					t.Fatal(f.variant, err)
				}
				conns[f.variant] = conn
				defer conn.Close()
			}
			err = f.check(conn)
		}
		var passed remark
		switch {
		case err == nil:
			cells = append(cells, "OK")
		case errors.As(err, &passed):
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
