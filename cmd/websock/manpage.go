package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// writeManPage writes the manual, followed by the flags of all commands, as a man page in roff.
func writeManPage(w io.Writer, root *ffcli.Command) error {
	p := &manPage{out: bufio.NewWriter(w)}
	fmt.Fprintf(p.out, ".TH WEBSOCK 1 %s %s\n", manDate().Format(time.DateOnly), quoted("websock "+version()))
	fmt.Fprintln(p.out, ".nh\n.ad l\n.ss 12 0") // what a reader copies has no hyphens and no spaces of ours
	p.section("NAME")
	p.text("websock - " + strings.TrimSuffix(root.ShortHelp, "."))
	p.section("SYNOPSIS")
	p.bold(root.ShortUsage)
	p.section("DESCRIPTION")
	p.manual(manual + "\n" + exitCodes)
	p.section("FLAGS")
	p.flags(root)
	return p.out.Flush()
}

// manDate returns the date of the man page: SOURCE_DATE_EPOCH, the seconds since 1970 that builds
// which have to be reproducible give to all that they run, or else today.
func manDate() time.Time {
	if epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(epoch, 0).UTC()
	}
	return time.Now().UTC()
}

// A manPage writes the parts of a man page. Its writer keeps the first error.
type manPage struct {
	out   *bufio.Writer
	begun bool // the section has a paragraph
}

func (p *manPage) section(title string) {
	fmt.Fprintf(p.out, ".SH %s\n", quoted(title))
	p.begun = false
}

// paragraph begins a paragraph. A section begins one, too.
func (p *manPage) paragraph() {
	if p.begun {
		fmt.Fprintln(p.out, ".PP")
	}
	p.begun = true
}

// text writes text in lines of at most lineLength bytes, unless a word is longer.
func (p *manPage) text(text string) {
	const lineLength = 80
	line := ""
	for word := range strings.FieldsSeq(text) {
		word = roff(word)
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > lineLength:
			fmt.Fprintln(p.out, line)
			line = word
		default:
			line += " " + word
		}
	}
	fmt.Fprintln(p.out, line)
}

func (p *manPage) bold(text string) { fmt.Fprintf(p.out, ".B %s\n", quoted(text)) }

// item writes a term and, indented below it, its description.
func (p *manPage) item(term, description string) {
	fmt.Fprintln(p.out, ".TP")
	p.bold(term)
	p.text(description)
}

// flags writes the flags of the commands below c.
func (p *manPage) flags(c *ffcli.Command) {
	for _, below := range c.Subcommands {
		fmt.Fprintf(p.out, ".SS %s\n", quoted(below.ShortUsage))
		p.text(below.ShortHelp)
		below.FlagSet.VisitAll(func(f *flag.Flag) {
			value, help := flag.UnquoteUsage(f)
			switch f.DefValue {
			case "", "0", "0s", "false":
			default:
				help += " (default " + f.DefValue + ")"
			}
			p.item(strings.TrimSpace("-"+f.Name+" "+value), help)
		})
		p.flags(below)
	}
}

var heading = regexp.MustCompile(`^[A-Z][A-Z ]*$`)

// manual writes text as it is laid out in manual.txt: headings in capital letters, paragraphs, and
// indented lists.
func (p *manPage) manual(text string) {
	for block := range strings.SplitSeq(text, "\n\n") {
		block = strings.Trim(block, "\n")
		if heading.MatchString(block) {
			p.section(block)
			continue
		}
		lines := strings.Split(block, "\n")
		filled := 0
		for filled < len(lines) && !strings.HasPrefix(lines[filled], " ") {
			filled++
		}
		if filled > 0 {
			p.paragraph()
			p.text(strings.Join(lines[:filled], " "))
		}
		p.list(lines[filled:])
	}
}

// list writes indented lines, as a list if each term has a description, on the same line after two
// spaces or on the next lines with more indentation, and otherwise unchanged.
func (p *manPage) list(lines []string) {
	type item struct{ term, description string }
	var items []item
	for _, line := range lines {
		if !strings.HasPrefix(line, "   ") {
			term, description, _ := strings.Cut(strings.TrimSpace(line), "  ")
			items = append(items, item{term, strings.TrimSpace(description)})
		} else if len(items) > 0 {
			last := &items[len(items)-1]
			last.description = strings.TrimSpace(last.description + " " + strings.TrimSpace(line))
		}
	}
	for _, i := range items {
		if i.description == "" {
			p.verbatim(lines)
			return
		}
	}
	for _, i := range items {
		p.item(i.term, i.description)
	}
}

func (p *manPage) verbatim(lines []string) {
	p.paragraph()
	fmt.Fprintln(p.out, ".EX")
	for _, line := range lines {
		fmt.Fprintln(p.out, roff(line))
	}
	fmt.Fprintln(p.out, ".EE")
}

// plainCharacters are replaced by what prints exactly them: others of their kind are typographic.
var plainCharacters = strings.NewReplacer(`\`, `\(rs`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`)

// roff returns text that may begin a line. It is not empty and doesn't begin with a dot, which would
// be a request.
func roff(text string) string {
	var b strings.Builder
	for _, r := range plainCharacters.Replace(text) {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	if line := b.String(); line != "" && line[0] != '.' {
		return line
	}
	return `\&` + b.String()
}

// quoted returns text as one argument of a request.
func quoted(text string) string { return `"` + roff(text) + `"` }
