// Websock opens WebSocket connections (RFC 6455), very many of them or one.
//
//	websock fanout            1,000 connections to an echo server of its own, then a table
//	websock fanout -url wss://example.com/echo -n 5000 -window 16
//	websock fanout -url wss://example.com/echo -rate 200 -reconnect -report out.html
//	websock fanout -url wss://example.com/echo -n 10000 -h2
//	websock fanout -cluster   in several terminals: they share the connections
//	websock cluster status    who holds how many of them
//	websock connect wss://example.com/feed
//	echo hello | websock connect ws://127.0.0.1:8080/
//	websock connect -record feed.rec wss://example.com/feed
//	websock replay -serve 8080 feed.rec
//	websock serve             an echo server
//	websock serve -push 100ms a server that sends to everybody
//	websock listen 8080 -- tail -f app.log
//	websock compare before.json after.json
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
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock/cmd/websock/internal/connect"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs the program and returns its exit code. The end of ctx is an interrupt.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand(stdio{console.Streams{In: stdin, Out: stdout, Err: stderr}}, args)
	err := root.Parse(args)
	command, name := selected(root)
	switch {
	case err == nil:
		err = root.Run(ctx)
	case errors.Is(err, flag.ErrHelp): // -h
		fmt.Fprint(stdout, ffcli.DefaultUsageFunc(command))
		return 0
	default:
		fmt.Fprintln(stderr, "websock:", flagError(command, err))
		err = errUsage
	}
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNoCommand):
		fmt.Fprint(stderr, ffcli.DefaultUsageFunc(command))
		return int(exitUsage)
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "%s -h prints how it is used\n", name)
		return int(exitUsage)
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(stderr, "websock: %s\n", console.Printable([]byte(console.ErrorText(err))))
	return int(exitFailed)
}

func rootCommand(s stdio, args []string) *ffcli.Command {
	fs := s.flagSet("websock")
	version := fs.Bool("version", false, "print the version")
	var root *ffcli.Command
	root = &ffcli.Command{
		Name:       "websock",
		ShortUsage: "websock <command> [flags]",
		ShortHelp:  "WebSocket connections (RFC 6455), very many of them or one.",
		LongHelp:   "The manual is printed by websock help.",
		FlagSet:    fs,
		Exec: func(_ context.Context, args []string) error {
			switch {
			case len(args) == 0 && *version:
				return s.printVersion()
			case len(args) == 0:
				return errNoCommand
			case strings.Contains(args[0], "://"):
				return s.usageError("there is no command %q: websock connect URL talks to a server", args[0])
			}
			return s.usageError("there is no command %q; there are: %s", args[0], strings.Join(namesOf(root.Subcommands), ", "))
		},
	}
	root.Subcommands = []*ffcli.Command{
		newFanoutCommand(s, args[min(1, len(args)):]),
		newConnectCommand(s),
		newServeCommand(s),
		newListenCommand(s),
		newReplayCommand(s),
		newClusterCommand(s),
		newCompareCommand(s),
		newCompletionCommand(s, root),
		newHelpCommand(s, root),
		newVersionCommand(s),
	}
	return root
}

// stdio are the standard streams with what all commands do with them.
type stdio struct{ console.Streams }

func (s stdio) flagSet(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // run prints errors, without all the flags below them, and what -h asks for
	return fs
}

// given reports whether a flag was given.
func given(fs *flag.FlagSet, name string) (found bool) {
	fs.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// An exitCode is an error of which the user has been told already.
type exitCode int

// The exit codes of failures. Success is 0.
const (
	exitFailed      exitCode = 1
	exitUsage       exitCode = 2
	exitUnreachable exitCode = 3
	exitRefused     exitCode = 4
	exitLost        exitCode = 5
	exitClosed      exitCode = 6
	exitThreshold   exitCode = 7
	exitInterrupted exitCode = 130 // as in a shell: 128 plus the number of the signal
)

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// outcomeErrors has the error for each outcome of a session.
var outcomeErrors = map[connect.Outcome]error{
	connect.ClosedNormally:    nil,
	connect.Unreachable:       exitUnreachable,
	connect.Refused:           exitRefused,
	connect.Lost:              exitLost,
	connect.ClosedWithError:   exitClosed,
	connect.LinesNotSent:      exitFailed,
	connect.TooFewMessages:    exitFailed,
	connect.InterruptedByUser: exitInterrupted,
}

// exitCodes is the part of the help about exit codes.
const exitCodes = "The exit code is\n" +
	"  0  when all went well\n" +
	"  1  when something failed\n" +
	"  2  when the command line is invalid\n" +
	"  3  when the server can't be reached: no such name, nobody listens, no answer, no trust,\n" +
	"     a proxy declines; with a cluster, NATS\n" +
	"  4  when a server was reached and declines the opening handshake\n" +
	"  5  when the connection is lost, or the server breaks the protocol\n" +
	"  6  when the server closes with another code than 1000, 1001 or none\n" +
	"  7  when a -threshold of fanout did not hold, or compare -fail-above found a figure worse\n" +
	"  130  after an interrupt (serve, listen, replay -serve, cluster status -every, and fanout\n" +
	"     -cluster without -duration: 0, since an interrupt is how they end)"

func newVersionCommand(s stdio) *ffcli.Command {
	return &ffcli.Command{
		Name:       "version",
		ShortUsage: "websock version",
		ShortHelp:  "print the version",
		FlagSet:    s.flagSet("version"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return s.usageError("version takes no arguments, but there is %q", args[0])
			}
			return s.printVersion()
		},
	}
}

func (s stdio) printVersion() error {
	_, err := fmt.Fprintf(s.Out, "websock %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// release is the version that a Makefile has set, "" if go install has built the module.
var release string

// version returns the version of the module that was built.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
