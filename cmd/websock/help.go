package main

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/peterbourgon/ff/v3/ffcli"
)

//go:embed manual.txt
var manual string

func helpCommand(streams stdio, root *ffcli.Command) *ffcli.Command {
	return &ffcli.Command{
		Name:       "help",
		ShortUsage: "websock help [command]",
		ShortHelp:  "print the manual, or what one command takes",
		FlagSet:    streams.flagSet("help"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) == 0 {
				_, err := fmt.Fprintf(streams.out, "%s\n%s\n", manual, exitCodes)
				return err
			}
			for _, c := range root.Subcommands {
				if len(args) == 1 && c.Name == args[0] {
					_, err := fmt.Fprint(streams.out, ffcli.DefaultUsageFunc(c))
					return err
				}
			}
			return streams.misused("help takes the name of a command")
		},
	}
}
