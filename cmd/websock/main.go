// Websock opens WebSocket connections (RFC 6455), very many of them or one.
//
//	websock fanout            1,000 connections to an echo server of its own, then a table
//	websock fanout -url wss://example.com/echo -n 5000 -window 16
//	websock fanout -url wss://example.com/echo -rate 200 -reconnect -report out.html
//	websock connect wss://example.com/feed
//	echo hello | websock connect ws://127.0.0.1:8080/
//	websock serve             an echo server
//	websock serve -push 100ms a server that sends to everybody
//	websock version
//
// The manual is printed by websock help; every command lists its flags with -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/peterbourgon/ff/v3/ffcli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// run is the program. The end of ctx is an interrupt.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	streams := stdio{stdin, stdout, stderr}
	root := rootCommand(streams, args)
	err := root.Parse(args)
	if err == nil {
		err = root.Run(ctx)
	} else if !errors.Is(err, flag.ErrHelp) {
		err = errUsage // the flag package has printed it
	}
	switch {
	case errors.Is(err, errUsage):
		return int(exitMisused)
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	}
	code, reported := codeOf(err)
	if !reported {
		fmt.Fprintln(stderr, "websock:", errorText(err))
	}
	return int(code)
}

// errUsage says that the command line can't be understood. Being a flag.ErrHelp,
// it makes ffcli print the command's usage.
var errUsage = fmt.Errorf("usage: %w", flag.ErrHelp)

// misused tells what is wrong with the command line.
func (s stdio) misused(format string, args ...any) error {
	fmt.Fprintf(s.err, format+"\n", args...)
	return errUsage
}

func rootCommand(streams stdio, args []string) *ffcli.Command {
	root := &ffcli.Command{
		Name:       "websock",
		ShortUsage: "websock <command> [flags]",
		ShortHelp:  "WebSocket connections (RFC 6455), very many of them or one.",
		LongHelp:   "The manual is printed by websock help.",
		FlagSet:    streams.flagSet("websock"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return streams.misused("there is no command %q", args[0])
			}
			return errUsage
		},
	}
	root.Subcommands = []*ffcli.Command{
		fanoutCommand(streams, args[min(1, len(args)):]),
		connectCommand(streams),
		serveCommand(streams),
		completionCommand(streams, root),
		helpCommand(streams, root),
		versionCommand(streams),
	}
	return root
}

func (s stdio) flagSet(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(s.err)
	return fs
}
