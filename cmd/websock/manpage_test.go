package main

import (
	"bufio"
	"flag"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// manPageOf returns what "websock help -man" prints.
func manPageOf(t *testing.T) string {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	got := command(t.Context(), "", "help", "-man")
	if got.code != 0 || got.err != "" {
		t.Fatalf("%+v", got)
	}
	return got.out
}

func TestTheManPageHasTheManualAndTheFlagsOfEveryCommand(t *testing.T) {
	page := manPageOf(t)
	want := []string{".TH WEBSOCK 1 2001-09-09 \"websock ", ".SH \"NAME\"\nwebsock \\- WebSocket"}
	for _, title := range regexp.MustCompile(`(?m)^[A-Z][A-Z ]*$`).FindAllString(manual, -1) {
		want = append(want, ".SH \""+title+"\"\n")
	}
	var add func(c *ffcli.Command)
	add = func(c *ffcli.Command) {
		for _, below := range c.Subcommands {
			want = append(want, ".SS "+quoted(below.ShortUsage)+"\n")
			below.FlagSet.VisitAll(func(f *flag.Flag) { want = append(want, ".B \""+roff("-"+f.Name)) })
			add(below)
		}
	}
	add(rootCommand(stdio{}, nil))
	if len(want) < 60 {
		t.Fatalf("only %q was looked for", want)
	}
	for _, text := range want {
		if !strings.Contains(page, text) {
			t.Errorf("no %q", text)
		}
	}
}

func TestFormattersAcceptTheManPage(t *testing.T) {
	page := manPageOf(t)
	for _, formatter := range []string{"groff -man -ww -Tutf8 -z", "mandoc -T lint -W style"} {
		args := strings.Fields(formatter)
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Logf("needs %s: apt-get install %[1]s", args[0])
			continue
		}
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = strings.NewReader(page)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %s %v", formatter, out, err)
		}
	}
}

func TestTheManualBecomesRoff(t *testing.T) {
	for _, test := range []struct{ name, manual, want string }{
		{"a heading and two paragraphs", "SERVE\n\nIt\nserves.\n\nWell.", ".SH \"SERVE\"\nIt serves.\n.PP\nWell.\n"},
		{
			"a list after a paragraph", "They are\n  one      the first\n  two\n      the\n      second\n",
			"They are\n.TP\n.B \"one\"\nthe first\n.TP\n.B \"two\"\nthe second\n",
		},
		{"indented lines that are no list", "  a:\n    - b\n  c", ".EX\n  a:\n    \\- b\n  c\n.EE\n"},
		{"characters with a meaning", `.so a\b 'c' "d" ~ ^ ` + "`", `\&.so a\(rsb \(aqc\(aq \(dqd\(dq \(ti \(ha \(ga` + "\n"},
		{"other alphabets", "3 µs …", `3 \[u00B5]s \[u2026]` + "\n"},
		{"long lines", strings.Repeat("websocket ", 9), strings.Repeat("websocket ", 7) + "websocket\nwebsocket\n"},
		{"a broken line that begins with a dot", strings.Repeat("websocket ", 8) + ".so", strings.Repeat("websocket ", 7) + "websocket\n\\&.so\n"},
		{"a quotation in a term", `  -x "y"  z`, ".TP\n.B \"\\-x \\(dqy\\(dq\"\nz\n"},
	} {
		var got strings.Builder
		p := &manPage{out: bufio.NewWriter(&got)}
		p.manual(test.manual)
		p.out.Flush()
		if got.String() != test.want {
			t.Errorf("%s:\n%q, want\n%q", test.name, got.String(), test.want)
		}
	}
}

func TestTheManPageTakesNoCommand(t *testing.T) {
	got := command(t.Context(), "", "help", "-man", "fanout")
	if got.code != 2 || got.out != "" || !strings.Contains(got.err, "-man") {
		t.Errorf("%+v", got)
	}
}
