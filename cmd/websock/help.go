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

	"github.com/seed004e8d11/websock/cmd/websock/internal/loadgen"
)

//go:embed manual.txt
var manual string

func newHelpCommand(s stdio, root *ffcli.Command) *ffcli.Command {
	fs := s.flagSet("help")
	man := fs.Bool("man", false, "print the manual and the flags of all commands as a man page")
	return &ffcli.Command{
		Name:       "help",
		ShortUsage: "websock help [command]",
		ShortHelp:  "print the manual, or the flags of a command",
		FlagSet:    fs,
		Exec: func(_ context.Context, args []string) error {
			switch {
			case *man && len(args) > 0:
				return s.usageError("help -man prints all, but there is %q", args[0])
			case *man:
				return writeManPage(s.Out, root)
			case len(args) == 0:
				_, err := fmt.Fprintf(s.Out, "%s\n%s\n", manual, exitCodes)
				return err
			}
			c := find(root, args)
			if c == nil {
				return s.usageError("help takes the name of a command")
			}
			_, err := fmt.Fprint(s.Out, ffcli.DefaultUsageFunc(c))
			return err
		},
	}
}

// find returns the command below c that has this name, each word of it one level down, or nil.
func find(c *ffcli.Command, name []string) *ffcli.Command {
	if len(name) == 0 {
		return c
	}
	for _, below := range c.Subcommands {
		if below.Name == name[0] {
			return find(below, name[1:])
		}
	}
	return nil
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
	Files      bool     // its arguments are files
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
		info := commandInfo{Name: c.Name, Help: c.ShortHelp, Files: c.Name == "compare" || c.Name == "replay"}
		switch c.Name {
		case "completion":
			info.Words = shells
		case "help":
			info.Words = namesOf(commands)
		}
		info.addFlags(c)
		for _, below := range c.Subcommands { // their names are offered before all their flags
			info.Words = append(info.Words, below.Name)
			info.addFlags(below)
		}
		infos = append(infos, info)
	}
	return infos
}

func (i *commandInfo) addFlags(of *ffcli.Command) {
	of.FlagSet.VisitAll(func(f *flag.Flag) { i.Flags = append(i.Flags, describeFlag(f)) })
}

func describeFlag(f *flag.Flag) flagInfo {
	value, help := flag.UnquoteUsage(f)
	info := flagInfo{Name: f.Name, Help: help, Repeatable: strings.Contains(help, "(repeatable"), Value: value}
	switch f.Name {
	case "transport":
		info.Values = strings.Split(transportNames(), ", ")
	case "mode":
		info.Values = loadgen.ModeNames()
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
