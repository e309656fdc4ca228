package main

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/peterbourgon/ff/v3/ffcli"
)

//go:embed manual.txt
var manual string

func newHelpCommand(s stdio, root *ffcli.Command) *ffcli.Command {
	return &ffcli.Command{
		Name:       "help",
		ShortUsage: "websock help [command]",
		ShortHelp:  "print the manual, or the flags of a command",
		FlagSet:    s.flagSet("help"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) == 0 {
				_, err := fmt.Fprintf(s.Out, "%s\n%s\n", manual, exitCodes)
				return err
			}
			for _, c := range root.Subcommands {
				if len(args) == 1 && c.Name == args[0] {
					_, err := fmt.Fprint(s.Out, ffcli.DefaultUsageFunc(c))
					return err
				}
			}
			return s.usageError("help takes the name of a command")
		},
	}
}

//go:embed completion
var completionFiles embed.FS

// shells are the shells with a completion.
var shells = []string{"bash", "fish", "zsh"}

var completions = template.Must(template.New("").Funcs(template.FuncMap{"quote": quote, "plain": plain}).
	ParseFS(completionFiles, "completion/*"))

func newCompletionCommand(s stdio, root *ffcli.Command) *ffcli.Command {
	return &ffcli.Command{
		Name:       "completion",
		ShortUsage: "websock completion " + strings.Join(shells, "|"),
		ShortHelp:  "print the completion script for a shell",
		LongHelp: "In bash:  source <(websock completion bash)\n" +
			"In zsh:   source <(websock completion zsh)\n" +
			"In fish:  websock completion fish | source",
		FlagSet: s.flagSet("completion"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return s.usageError("completion takes the name of a shell: %s", strings.Join(shells, ", "))
			}
			return completions.ExecuteTemplate(s.Out, "websock."+args[0], describe(root.Subcommands))
		},
	}
}

// A commandInfo is what a completion script has to know about a command.
type commandInfo struct {
	Name, Help string
	Flags      []flagInfo
	Words      []string // possible arguments
}

// A flagInfo is what a completion script has to know about a flag.
type flagInfo struct {
	Name, Help string
	Repeatable bool
	Value      string   // kind of its value; "": it has none, "file": a file
	Values     []string // all possible values, if they are few
}

func describe(commands []*ffcli.Command) (infos []commandInfo) {
	for _, c := range commands {
		info := commandInfo{Name: c.Name, Help: c.ShortHelp}
		switch c.Name {
		case "completion":
			info.Words = shells
		case "help":
			info.Words = namesOf(commands)
		}
		c.FlagSet.VisitAll(func(f *flag.Flag) { info.Flags = append(info.Flags, describeFlag(f)) })
		infos = append(infos, info)
	}
	return infos
}

func describeFlag(f *flag.Flag) flagInfo {
	value, help := flag.UnquoteUsage(f)
	info := flagInfo{Name: f.Name, Help: help, Repeatable: strings.Contains(help, "(repeatable"), Value: value}
	if f.Name == "transport" {
		info.Values = strings.Split(transportNames(), ", ")
	}
	return info
}

func namesOf(commands []*ffcli.Command) (names []string) {
	for _, c := range commands {
		names = append(names, c.Name)
	}
	return names
}

// quote quotes text as one word in any of the shells.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// plain replaces the characters that have a meaning in _arguments of zsh.
func plain(text string) string {
	return strings.NewReplacer("[", "(", "]", ")", ":", ",").Replace(text)
}
