package main

import (
	"context"
	"flag"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock/cmd/websock/internal/connect"
)

type connectCommand struct {
	stdio
	dialFlags
	options connect.Options
}

func newConnectCommand(s stdio) *ffcli.Command {
	c := &connectCommand{stdio: s}
	fs := s.flagSet("connect")
	c.register(fs)
	return &ffcli.Command{
		Name:       "connect",
		ShortUsage: "websock connect [flags] URL",
		ShortHelp:  "send lines as messages, print messages as lines",
		LongHelp: "When standard input ends, replies are printed until nothing has come for the time\n" +
			"of -wait; then the connection is closed. On a terminal lines can be edited, the\n" +
			"arrow keys bring earlier ones back, and Control-D closes the connection at once.\n\n" +
			exitCodes,
		FlagSet: fs,
		Exec:    c.exec,
	}
}

func (c *connectCommand) register(fs *flag.FlagSet) {
	c.dialFlags.register(fs)
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "limit of connecting and the opening handshake")
	fs.BoolVar(&c.options.Binary, "binary", false, "send binary messages, not text")
	fs.DurationVar(&c.options.Wait, "wait", time.Second, "how long it must be quiet, after standard input has ended, before the connection is closed")
	fs.BoolVar(&c.options.JSON, "json", false, "print a JSON object a line: event open, message, refused, or closed")
	fs.BoolVar(&c.options.Verbose, "v", false, "show the steps of connecting, the opening handshake and every frame, on standard error")
	fs.StringVar(&c.options.History, "history", "", "`file` that keeps the lines typed on a terminal for the next time")
}

func (c *connectCommand) exec(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return c.usageError("connect takes one URL, after the flags")
	}
	if c.timeout <= 0 || c.options.Wait < 0 {
		return c.usageError("-timeout must be positive, and -wait must not be negative")
	}
	if err := c.check(args[0]); err != nil {
		return c.usageError("%v", err)
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	c.options.URL, c.options.Config = args[0], config
	outcome, err := connect.Run(ctx, c.Streams, c.options)
	if err != nil {
		return err
	}
	return outcomeErrors[outcome]
}
