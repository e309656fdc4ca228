package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
)

// connect is the command of that name.
type connect struct {
	stdio
	dialFlags
	binary  bool
	wait    time.Duration
	json    bool
	verbose bool
	history string

	conn   *engine.Conn
	lines  lineReader
	show   display
	ended  atomic.Bool // standard input has ended
	failed atomic.Bool // a line could not be sent

	interrupted atomic.Bool // by a key
}

func connectCommand(streams stdio) *ffcli.Command {
	c := &connect{stdio: streams}
	fs := streams.flagSet("connect")
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

func (c *connect) register(fs *flag.FlagSet) {
	c.dialFlags.register(fs)
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "limit of connecting and the opening handshake")
	fs.BoolVar(&c.binary, "binary", false, "send binary messages, not text")
	fs.DurationVar(&c.wait, "wait", time.Second, "how long it must be quiet, after standard input has ended, before the connection is closed")
	fs.BoolVar(&c.json, "json", false, "print a JSON object a line: event open, message, refused, or closed")
	fs.BoolVar(&c.verbose, "v", false, "show the steps of connecting, the opening handshake and every frame, on standard error")
	fs.StringVar(&c.history, "history", "", "`file` that keeps the lines typed on a terminal for the next time")
}

func (c *connect) exec(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return c.misused("connect takes one URL, after the flags")
	}
	if c.timeout <= 0 || c.wait < 0 {
		return c.misused("-timeout is above 0, and -wait is not below")
	}
	if err := c.checkDial(args[0]); err != nil {
		return c.misused("%v", err)
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	leave, err := c.enter()
	if err != nil {
		return err
	}
	defer leave()
	config.Trace = new(websock.Trace)
	if c.verbose {
		config.Trace = showSteps(c.err)
		config.Transport = showFrames{std.Transport(), c.err}
	}
	reached := noteServer(config.Trace)
	c.conn, err = websock.Dial(ctx, args[0], &config)
	if err != nil {
		c.show.refused(err)
		return refusalCode(ctx, err, *reached)
	}
	defer c.conn.Close()
	c.show.opened(c.conn)
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	go c.sendLines()
	err = c.receive()
	if ctx.Err() != nil || c.interrupted.Load() {
		return exitInterrupted
	}
	return err
}

// noteServer makes the trace also note whether an opening handshake was begun, and so that a
// server was reached.
func noteServer(trace *websock.Trace) *bool {
	reached, start := new(bool), trace.HandshakeStart
	trace.HandshakeStart = func(host string) {
		*reached = true
		if start != nil {
			start(host)
		}
	}
	return reached
}

// enter chooses where lines come from and how messages are shown. leave has to be called at
// the end.
func (c *connect) enter() (leave func(), err error) {
	c.lines = newPipe(c.in)
	leave = func() {}
	if !c.json && isTerminal(c.in) && isTerminal(c.out) {
		console, err := openConsole(c.stdio, c.history)
		if err != nil {
			return nil, err
		}
		c.lines, c.out, c.err = console, console, console
		c.show = &textDisplay{stdio: c.stdio, mark: "< ", safe: true, greets: true}
		return console.leave, nil
	}
	if c.json {
		c.show = newJSONDisplay(c.out)
	} else {
		c.show = &textDisplay{stdio: c.stdio, safe: isTerminal(c.out), greets: isTerminal(c.err)}
	}
	return leave, nil
}

// refusalCode tells a server that declined from one that was not reached, or didn't answer.
func refusalCode(ctx context.Context, err error, reached bool) exitCode {
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case reached && dialFailure(err) != dialTimeout:
		return exitRefused
	}
	return exitUnreachable
}

// sendLines sends every line as a message.
func (c *connect) sendLines() {
	for {
		line, err := c.lines.readLine()
		if err != nil {
			c.noteEnd(err)
			break
		}
		c.sendLine(line)
	}
	if _, typed := c.lines.(*console); typed {
		c.conn.Close()
		return
	}
	c.ended.Store(true)
	c.awaitQuiet()
}

// noteEnd notes what is unusual about the end of the lines.
func (c *connect) noteEnd(err error) {
	switch {
	case errors.Is(err, errInterrupted):
		c.interrupted.Store(true)
	case !errors.Is(err, io.EOF):
		fmt.Fprintln(c.err, "not sent:", err)
		c.failed.Store(true)
	}
}

func (c *connect) sendLine(line []byte) {
	send := c.conn.SendText
	if c.binary {
		send = c.conn.SendBinary
	}
	err := send(line)
	if errors.Is(err, engine.ErrInvalidUTF8) {
		fmt.Fprintln(c.err, "not sent: the line is not UTF-8, which text must be (see -binary)")
		c.failed.Store(true)
	}
}

// awaitQuiet makes receiving time out when nothing comes.
func (c *connect) awaitQuiet() {
	c.conn.SetRecvDeadline(time.Now().Add(c.wait))
}

// receive shows messages until the connection ends or it has become quiet.
func (c *connect) receive() error {
	var msg []byte
	for {
		had := len(msg)
		op, received, err := c.conn.RecvMessage(msg)
		msg = received
		switch {
		case errors.Is(err, engine.ErrTimeout) && len(msg) == had:
			return c.report(c.conn.Close())
		case errors.Is(err, engine.ErrTimeout): // in the middle of a message
		case err != nil:
			return c.report(err)
		default:
			if err := c.show.message(op, msg); err != nil {
				return err
			}
			msg = msg[:0]
		}
		if c.ended.Load() {
			c.awaitQuiet()
		}
	}
}

// report tells how the connection ended, and whether that is well.
func (c *connect) report(err error) error {
	c.show.closed(err)
	var closed *engine.CloseError
	switch {
	case c.failed.Load():
		return errReported
	case err == nil:
		return nil
	case !errors.As(err, &closed) || closed.Code == engine.CloseAbnormal:
		return exitLost
	case closed.Code == engine.CloseNormal, closed.Code == engine.CloseGoingAway, closed.Code == engine.CloseNoStatus:
		return nil
	}
	return exitClosed
}
