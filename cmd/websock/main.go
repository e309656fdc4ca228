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
// Every command lists its flags with -h. The exit code is 0 when all went well, 1
// when something failed, 2 when the command line can't be understood.
//
// # Fanout
//
// It dials, keeps -window messages in flight on each connection for the duration,
// waits for the echoes that are due, closes with the closing handshake and prints
// a table, or with -json one JSON object. An interrupt ends the duration early; a
// second one ends the program. With no -url the server is a child process, so
// that CPU time and memory in the table are those of the client alone.
//
// With -reconnect, what fails or is lost is dialled again after a random time that grows
// with every failure, and sends again; messages that were in flight are lost. Without, it
// stays away. -rate bounds how many are dialled in a second, in both cases. -report writes
// a web page with charts, all in one file: connections and messages a second over time,
// errors, and how long echoes took.
//
// Every message begins with its connection's and its own number, and every echo is
// compared with what was sent. What fails is counted by kind:
//
//	dial refused          nobody listens there
//	dial timeout          no connection, or no end of the opening handshake, in time
//	proxy failed          the proxy can't be reached, or declines
//	dial failed           no connection for another reason: no such host, no more files
//	TLS                   no trust in the certificate, or no TLS there
//	handshake status N    the server answered with HTTP status N
//	handshake failed      the server's answer is none to an opening handshake
//	connection lost       the connection ended without a close frame
//	close code N          the server closed with code N
//	protocol error        the server broke RFC 6455
//	limit exceeded        the server sent more than the limits allow
//	unexpected message    a message that is no echo of one in flight: a greeting, a broadcast
//	payload mismatch      an echo with other content or another opcode; its connection is given up
//	echo timeout          a message that was not echoed in time
//	close timeout         a connection that did not end in time
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
		fmt.Fprintln(stderr, "websock:", err)
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
	return &ffcli.Command{
		Name:       "websock",
		ShortUsage: "websock <command> [flags]",
		ShortHelp:  "WebSocket connections (RFC 6455), very many of them or one.",
		FlagSet:    streams.flagSet("websock"),
		Subcommands: []*ffcli.Command{
			fanoutCommand(streams, args[min(1, len(args)):]),
			connectCommand(streams),
			serveCommand(streams),
			versionCommand(streams),
		},
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return streams.misused("there is no command %q", args[0])
			}
			return errUsage
		},
	}
}

func (s stdio) flagSet(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(s.err)
	return fs
}
