package main

import (
	"context"
	"embed"
	"flag"
	"slices"
	"strings"
	"text/template"

	"github.com/peterbourgon/ff/v3/ffcli"
)

//go:embed completion
var completionFiles embed.FS

// shells are those for which there is a completion.
var shells = []string{"bash", "fish", "zsh"}

var completions = template.Must(template.New("").Funcs(template.FuncMap{"quote": quote, "plain": plain}).
	ParseFS(completionFiles, "completion/*"))

func completionCommand(streams stdio, root *ffcli.Command) *ffcli.Command {
	return &ffcli.Command{
		Name:       "completion",
		ShortUsage: "websock completion " + strings.Join(shells, "|"),
		ShortHelp:  "print what completes commands and flags in a shell",
		LongHelp: "In bash:  source <(websock completion bash)\n" +
			"In zsh:   source <(websock completion zsh)\n" +
			"In fish:  websock completion fish | source",
		FlagSet: streams.flagSet("completion"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return streams.misused("completion takes the name of a shell: %s", strings.Join(shells, ", "))
			}
			return completions.ExecuteTemplate(streams.out, "websock."+args[0], described(root.Subcommands))
		},
	}
}

// A description is what a shell has to know of a command.
type description struct {
	Name, Help string
	Flags      []flagDescription
	Words      []string // that may follow
}

// A flagDescription is that of a flag.
type flagDescription struct {
	Name, Help string
	Repeatable bool
	Value      string   // what follows it; "": nothing, "file": a file
	Values     []string // if only these may follow
}

func described(commands []*ffcli.Command) (all []description) {
	for _, c := range commands {
		d := description{Name: c.Name, Help: c.ShortHelp}
		switch c.Name {
		case "completion":
			d.Words = shells
		case "help":
			d.Words = namesOf(commands)
		}
		c.FlagSet.VisitAll(func(f *flag.Flag) { d.Flags = append(d.Flags, describedFlag(f)) })
		all = append(all, d)
	}
	return all
}

func describedFlag(f *flag.Flag) flagDescription {
	value, help := flag.UnquoteUsage(f)
	d := flagDescription{Name: f.Name, Help: help, Repeatable: strings.Contains(help, "(repeatable"), Value: value}
	if f.Name == "transport" {
		d.Values = strings.Split(transportNames(), ", ")
	}
	return d
}

func namesOf(commands []*ffcli.Command) (names []string) {
	for _, c := range commands {
		names = append(names, c.Name)
	}
	return names
}

// quote makes one word of text, for any of the shells.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// plain leaves out what has a meaning to zsh's _arguments.
func plain(text string) string {
	return strings.NewReplacer("[", "(", "]", ")", ":", ",").Replace(text)
}
