package main

import (
	"context"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock/cmd/websock/internal/record"
	"github.com/seed004e8d11/websock/cmd/websock/internal/replay"
)

type replayCommand struct {
	stdio
	dialFlags
	listenFlags
	flags   *flag.FlagSet
	url     string
	serve   string // address
	options replay.Options
}

func newReplayCommand(s stdio) *ffcli.Command {
	fs := s.flagSet("replay")
	c := &replayCommand{stdio: s, flags: fs}
	c.register(fs)
	return &ffcli.Command{
		Name:       "replay",
		ShortUsage: "websock replay [flags] FILE",
		ShortHelp:  "play a recording of connect -record, as the client or as the server",
		LongHelp: "It connects, sends what the recorded client sent, at the same times, and prints how many\n" +
			"messages it has sent and received. With -serve it is a server that sends every client\n" +
			"what the recorded server sent; the first line printed is its URL, and an interrupt ends\n" +
			"it.\n\n" + exitCodes,
		FlagSet: fs,
		Exec:    c.exec,
	}
}

const (
	onlyClient = "without -serve, "
	onlyServer = "with -serve, "
)

func (c *replayCommand) register(fs *flag.FlagSet) {
	o := &c.options
	c.dialFlags.register(fs)
	c.listenFlags.register(fs, onlyServer, record.MaxMessage)
	fs.StringVar(&c.serve, "serve", "", "play the server, at this `address`: a port, or a host and port, as of listen")
	fs.StringVar(&c.url, "url", "", onlyClient+"`URL` to connect to (default: the recorded one)")
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, onlyClient+"limit of connecting and the opening handshake")
	fs.Float64Var(&o.Speed, "speed", 1, "how much faster than recorded it sends: 2 is twice as fast, 0 waits for no time")
	fs.BoolVar(&o.InOrder, "order", false, "before it sends a message, wait until as many were received as in the recording")
	fs.BoolVar(&o.Check, "check", false, "compare what is received with the recording, print the differences, and end with exit code 1 if there are any")
	fs.Func("ignore", "with -check, `regular expression` of parts of messages that may differ, such as \"time\":[0-9]+ (repeatable)", c.addIgnored)
	fs.IntVar(&o.Count, "count", 1, "how often it is played: a client connects again, a server goes on, and ends the connection as recorded after the last time (0: until an interrupt)")
	fs.DurationVar(&o.Wait, "wait", 10*time.Second, "how long nothing may come while a recorded message, or the end of the connection, is waited for")
}

func (c *replayCommand) addIgnored(text string) error {
	part, err := regexp.Compile(text)
	c.options.Ignore = append(c.options.Ignore, part)
	return err
}

// The flags of a client that play no part with -serve, and those that need it.
var (
	clientFlags = []string{"header", "origin", "insecure", "h2", "ca", "cert", "key", "resolve", "url", "timeout"}
	serverFlags = []string{"max", "max-message", "path", "allow-origin", "tls", "tls-cert", "tls-key"}
)

func (c *replayCommand) exec(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return c.usageError("replay takes one file, after the flags, but there are %d arguments: %q", len(args), args)
	}
	if err := c.checkFlags(); err != nil {
		return c.usageError("%v", err)
	}
	file, err := record.Open(ctx, args[0])
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case err != nil:
		return err
	}
	if c.options.File = file; file.Cut {
		fmt.Fprintf(c.Err, "%s: the last line is cut off, and left out\n", args[0])
	}
	if c.serve != "" {
		return c.playServer(ctx)
	}
	return c.playClient(ctx)
}

// checkFlags returns what is wrong with the flags.
func (c *replayCommand) checkFlags() error {
	o := &c.options
	const slowest, fastest = 1e-3, 1e6
	switch {
	case !(o.Speed == 0 || o.Speed >= slowest && o.Speed <= fastest): // also refuses NaN
		return fmt.Errorf("-speed is 0, or %v to %.0f", slowest, fastest)
	case o.Count < 0:
		return fmt.Errorf("-count must not be negative")
	case o.Wait <= 0 || c.timeout <= 0:
		return fmt.Errorf("-wait and -timeout must be positive")
	case len(o.Ignore) > 0 && !o.Check:
		return fmt.Errorf("-ignore needs -check")
	}
	wrong, needs := serverFlags, "needs"
	if c.serve != "" {
		wrong, needs = clientFlags, "does not go with"
	}
	if i := slices.IndexFunc(wrong, func(name string) bool { return given(c.flags, name) }); i >= 0 {
		return fmt.Errorf("-%s %s -serve", wrong[i], needs)
	}
	if c.serve != "" {
		return c.listenFlags.check(c.serve)
	}
	return nil
}

func (c *replayCommand) playClient(ctx context.Context) error {
	url := c.url
	if url == "" {
		first, err := c.options.File.Conn(0)
		if err != nil {
			return err
		}
		first.Close()
		url = first.URL
	}
	if err := c.dialFlags.check(url); err != nil {
		return c.usageError("%v", err)
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	result, err := replay.Client(ctx, c.Streams, c.options, c.url, config)
	switch {
	case err != nil:
		return err
	case outcomeErrors[result.Outcome] == nil && result.Failed:
		return exitFailed
	}
	return outcomeErrors[result.Outcome]
}

func (c *replayCommand) playServer(ctx context.Context) error {
	server := c.listenFlags.options
	server.Timeout, server.Subprotocols, server.Compress = defaultTimeout, c.subprotocols, c.compress
	differs, err := replay.Server(ctx, c.Streams, c.options, server)
	if err == nil && differs {
		return exitFailed
	}
	return err
}
