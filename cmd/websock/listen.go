package main

import (
	"context"
	"flag"
	"os/exec"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock/cmd/websock/internal/listen"
	"github.com/seed004e8d11/websock/cmd/websock/internal/subprocess"
)

type listenCommand struct {
	stdio
	listenFlags
	command subprocess.Options
}

func newListenCommand(s stdio) *ffcli.Command {
	c := &listenCommand{stdio: s}
	fs := s.flagSet("listen")
	c.register(fs)
	return &ffcli.Command{
		Name:       "listen",
		ShortUsage: "websock listen [flags] ADDR -- COMMAND [arguments]",
		ShortHelp:  "run a command for each connection: its input and output are messages",
		LongHelp: "ADDR is a port of the loopback interface, or a host and port; :8080 is port 8080 of all\n" +
			"interfaces. The first line printed is the URL. Each message is a line of the command's\n" +
			"standard input, and each line of its standard output is a message. When the connection\n" +
			"ends, so does its command, and the other way round. An interrupt ends all.",
		FlagSet: fs,
		Exec:    c.exec,
	}
}

func (c *listenCommand) register(fs *flag.FlagSet) {
	o := &c.listenFlags.options
	c.listenFlags.register(fs, "", 1<<20)
	fs.BoolVar(&c.command.Binary, "binary", false, "pass bytes on as they are: messages without a line ending, and output in binary messages as it comes")
	fs.DurationVar(&o.Timeout, "timeout", defaultTimeout, "how long a client, or the command, may take nothing of what is sent to it (0: any time)")
	fs.DurationVar(&c.command.Grace, "grace", 2*time.Second, "how long the command may run after the end of its input, and then after SIGTERM, before it is killed")
	fs.BoolVar(&o.Compress, "compress", false, "compress for clients that offer it (permessage-deflate)")
	fs.Func("subprotocol", "`name` of a subprotocol to agree to (repeatable, in order of preference)", func(name string) error {
		o.Subprotocols = append(o.Subprotocols, name)
		return checkSubprotocols(o.Subprotocols)
	})
}

func (c *listenCommand) exec(ctx context.Context, args []string) error {
	o := &c.listenFlags.options
	switch {
	case len(args) > 1 && args[1] == "--":
		args = append(args[:1:1], args[2:]...)
	case len(args) > 1 && strings.HasPrefix(args[1], "-"):
		return c.usageError("listen takes flags before the address, but there is %q after it", args[1])
	}
	if len(args) < 2 {
		return c.usageError("listen takes an address and a command: listen 8080 -- cat")
	}
	if err := c.check(args[0]); err != nil {
		return c.usageError("%v", err)
	}
	if o.Timeout < 0 || c.command.Grace < 0 {
		return c.usageError("-timeout and -grace must not be negative")
	}
	if _, err := exec.LookPath(args[1]); err != nil {
		return err
	}
	c.command.Args, c.command.MaxLine, c.command.Timeout, c.command.Stderr = args[1:], o.MaxMessage, o.Timeout, c.Err
	return listen.Run(ctx, c.Streams, *o, c.command.Serve)
}
