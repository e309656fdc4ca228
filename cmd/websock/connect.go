package main

import (
	"context"
	"flag"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/connect"
	"github.com/seed004e8d11/websock/cmd/websock/internal/record"
)

type connectCommand struct {
	stdio
	dialFlags
	options connect.Options
	flags   *flag.FlagSet

	record      string // file
	recordQuery bool
}

func newConnectCommand(s stdio) *ffcli.Command {
	fs := s.flagSet("connect")
	c := &connectCommand{stdio: s, flags: fs}
	c.register(fs)
	return &ffcli.Command{
		Name:       "connect",
		ShortUsage: "websock connect [flags] URL",
		ShortHelp:  "send lines as messages, print messages as lines",
		LongHelp: "When standard input ends, replies are printed until nothing has come for the time\n" +
			"of -wait; then the connection is closed. On a terminal lines can be edited, the\n" +
			"arrow keys bring earlier ones back, Control-D closes the connection at once, and lines\n" +
			"that begin with / are commands: /help lists them.\n\n" +
			exitCodes,
		FlagSet: fs,
		Exec:    c.exec,
	}
}

func (c *connectCommand) register(fs *flag.FlagSet) {
	c.dialFlags.register(fs)
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "limit of connecting and the opening handshake")
	fs.BoolVar(&c.options.Binary, "binary", false, "send binary messages, not text")
	fs.BoolVar(&c.options.One, "one", false, "send all of standard input as one message, unchanged")
	fs.IntVar(&c.options.Count, "count", 0, "close the connection, and end, after this `number` of messages were received (0: don't)")
	fs.DurationVar(&c.options.Ping, "ping", 0, "send a ping at this interval, show the round trips, and take the connection for lost if nothing comes for two intervals and 5s (0: none)")
	c.options.Close.Code = websock.CloseNormal
	fs.Func("close", "`CODE[,REASON]` to close the connection with in the end (default 1000)", c.setClose)
	fs.BoolFunc("commands", "take lines that begin with / for commands, also in a pipe: /help lists them (default on a terminal; -commands=false: never)", c.setCommands)
	fs.BoolVar(&c.options.Reconnect, "reconnect", false, "dial again, after a while, when the connection fails or is lost")
	fs.BoolVar(&c.options.Format.Hex, "hex", false, "print binary messages as a hex dump, also in a pipe")
	fs.BoolVar(&c.options.Format.Pretty, "pretty", false, "indent messages that are JSON, and color them on a terminal unless NO_COLOR is set")
	fs.BoolVar(&c.options.Format.Time, "time", false, "print the time since the connection was opened, and since the previous message, before each message")
	fs.DurationVar(&c.options.Wait, "wait", time.Second, "how long it must be quiet, after standard input has ended, before the connection is closed (with -count, by default without limit)")
	fs.BoolVar(&c.options.JSON, "json", false, "print a JSON object a line: event open, message, pong, refused, closed, or reconnecting")
	fs.BoolVar(&c.options.Verbose, "v", false, "show the steps of connecting, the opening handshake and every frame, on standard error")
	fs.StringVar(&c.record, "record", "", "`file` to write all messages to, with their times, for replay; it must not exist")
	fs.BoolVar(&c.recordQuery, "record-query", false, "with -record, keep the values in the query of the URL, which are often credentials")
	fs.StringVar(&c.options.History, "history", "", "`file` that keeps the lines typed on a terminal for the next time")
}

func (c *connectCommand) setClose(text string) (err error) {
	code, reason, _ := strings.Cut(text, ",")
	c.options.Close, err = connect.ParseCloseStatus(code, reason)
	return err
}

func (c *connectCommand) setCommands(text string) error {
	on, err := strconv.ParseBool(text)
	c.options.Commands = connect.CommandsNever
	if on {
		c.options.Commands = connect.CommandsAlways
	}
	return err
}

// shortestPing is the shortest interval of -ping, with which a link is still good for messages.
const shortestPing = time.Millisecond

func (c *connectCommand) exec(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return c.usageError("connect takes one URL, after the flags, but there are %d arguments: %q", len(args), args)
	}
	if c.timeout <= 0 || c.options.Wait < 0 {
		return c.usageError("-timeout must be positive, and -wait must not be negative")
	}
	switch o := &c.options; {
	case o.Count < 0:
		return c.usageError("-count must not be negative")
	case o.Ping != 0 && o.Ping < shortestPing:
		return c.usageError("-ping is 0, or at least %v", shortestPing)
	case o.One && o.Commands == connect.CommandsAlways:
		return c.usageError("-one and -commands don't go together: with -one there are no lines")
	case c.recordQuery && c.record == "":
		return c.usageError("-record-query needs -record")
	case o.JSON && (o.Format.Hex || o.Format.Pretty):
		return c.usageError("-hex and -pretty are for people: -json has messages as they are")
	}
	if err := c.check(args[0]); err != nil {
		return c.usageError("%v", err)
	}
	if c.options.Count > 0 && !given(c.flags, "wait") {
		c.options.Wait = -1
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	c.options.Format.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	c.options.URL, c.options.Config = args[0], config
	if c.record != "" {
		if err := c.startRecording(); err != nil {
			return err
		}
	}
	outcome, err := connect.Run(ctx, c.Streams, c.options)
	if notRecorded := c.options.Record.Close(); err == nil {
		err = notRecorded
	}
	if err != nil {
		return err
	}
	return outcomeErrors[outcome]
}

func (c *connectCommand) startRecording() (err error) {
	o := &c.options
	if o.RecordURL = o.URL; !c.recordQuery {
		o.RecordURL, _ = record.HideQuery(o.URL)
	}
	o.Record, err = record.Create(c.record)
	return err
}
